/** HTTP to the hub, over Node's own client. */
import * as http from "node:http";
export type Call = {
    method?: string;
    headers: Record<string, string>;
    body?: string;
    signal: AbortSignal;
    agent?: false;
};
/** @param {string} address of a hub @param {string} path @param {Call} call */
export declare function open(address: string, path: string, { method, headers, body, signal, agent }: Call): http.ClientRequest;
/** Send a request, and read the whole answer.
 * @param {string} address @param {string} path @param {Call} call
 * @returns {Promise<{status: number, headers: http.IncomingHttpHeaders, text: string}>} */
export declare function send(address: string, path: string, call: Call): Promise<{
    status: number;
    headers: http.IncomingHttpHeaders;
    text: string;
}>;
/** The text of an answer. @param {http.IncomingMessage} response */
export declare function readText(response: http.IncomingMessage): Promise<string>;
