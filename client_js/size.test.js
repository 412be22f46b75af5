/** What the client costs a page: minified and gzipped, as a bundler and a server send it. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** @param {string} exported what an app takes @param {string} [from] */
async function measureSize(exported, from = "client.js") {
  const contents = `export ${exported} from "./${from}";`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

/** In bytes. */
for (const [name, budget, exported, from] of /** @type {const} */ ([
  ["the core", 4_096, "{ createCore }", "core.js"],
  ["createLogoutHub, the core with all its plug-ins,", 6_400, "{ createLogoutHub }"],
  ["the whole client", 7_250, "*"],
]))
  test(`${name} stays within its budget`, async (t) => {
    const size = await measureSize(exported, from);
    t.diagnostic(`${size} bytes of ${budget}`);
    assert.ok(size <= budget, `${size} bytes are more than ${budget}`);
  });

test("an app that makes its own client pays for no script tag and no stock socket", async () => {
  assert.ok(
    (await measureSize("{ createLogoutHub }")) < (await measureSize("{ createLogoutHub, attach }")),
  );
  assert.ok(
    (await measureSize("{ createLogoutHub }")) <
      (await measureSize("{ createLogoutHub, pageHub }")),
  );
});

test("the documentation names the budgets that are held here", async () => {
  const page = new URL("../docs/reference/browser-client.md", import.meta.url);
  const text = await readFile(page, "utf8");
  for (const bytes of ["4,096", "6,400"]) assert.ok(text.includes(`${bytes} bytes`), bytes);
});
