import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONObject;

/** Stock socket.io-client-java clients; takes and writes the same lines as clients.mjs. */
public final class Clients {
  private static synchronized void tell(String client, String what, Object value) {
    Map<String, Object> line = new HashMap<>();
    line.put("client", client);
    line.put("what", what);
    line.put("value", value);
    System.out.println(new JSONObject(line));
  }

  private static Socket start(String url, JSONObject given) throws Exception {
    String name = given.getString("name");
    IO.Options options = new IO.Options();
    options.forceNew = true;
    options.query = "client=" + name;
    options.auth = Map.of("token", given.getString("token"));
    JSONArray transports = given.optJSONArray("transports");
    if (transports != null) {
      options.transports = new String[transports.length()];
      for (int i = 0; i < transports.length(); i++) {
        options.transports[i] = transports.getString(i);
      }
    }
    Socket socket = IO.socket(URI.create(url), options);
    socket.on(Socket.EVENT_CONNECT, args -> tell(name, "connected", null));
    socket.on(
        Socket.EVENT_DISCONNECT,
        args -> tell(name, "disconnected", Map.of("reason", args[0])));
    socket.on(
        Socket.EVENT_CONNECT_ERROR,
        args -> {
          if (args[0] instanceof JSONObject) {
            String code = ((JSONObject) args[0]).optString("message");
            tell(name, "refused", Map.of("code", code));
          }
        });
    socket.on(
        "logoutNotification",
        args -> {
          tell(name, "told", ((JSONObject) args[0]).optString("reason"));
          ((Ack) args[1]).call(new JSONObject(Map.of("cleared", true)));
        });
    socket.connect();
    return socket;
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader input =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    JSONObject given = new JSONObject(input.readLine());
    Map<String, Socket> sockets = new HashMap<>();
    JSONArray clients = given.getJSONArray("clients");
    for (int i = 0; i < clients.length(); i++) {
      JSONObject client = clients.getJSONObject(i);
      sockets.put(client.getString("name"), start(given.getString("url"), client));
    }
    String name;
    while ((name = input.readLine()) != null) {
      String mine = name;
      sockets
          .get(mine)
          .emit(
              "logout",
              new Object[] {new JSONObject(Map.of("scope", "session"))},
              answer -> tell(mine, "answered", ((JSONObject) answer[0]).optBoolean("ok")));
    }
    System.exit(0);
  }
}
