//! The usual way in Rust: socketioxide with its Redis adapter, on axum. It does what the Node peer
//! does, and more: it waits until the sockets of a logout have acknowledged, and then disconnects.

use std::{
    env,
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
    serve::ListenerExt,
};
use futures_util::StreamExt;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use redis::{RedisError, aio::MultiplexedConnection};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socketioxide::{
    SocketIo,
    adapter::Emitter,
    extract::{SocketRef, TryData},
    handler::ConnectHandler,
    operators::BroadcastOperators,
};
use socketioxide_redis::{RedisAdapter, RedisAdapterConfig, RedisAdapterCtr};
use tokio::net::TcpListener;

const LIFETIME: u64 = 86_400;
const EVENT: &str = "logoutNotification";
/// How long a socket has for its acknowledgement: as long as the hub gives it.
const GRACE: Duration = Duration::from_secs(2);
/// Acknowledgements of another replica that may wait here; beyond that they would be lost.
const ACKNOWLEDGEMENTS: usize = 1 << 16;

type Adapter = RedisAdapter<Emitter>;

#[derive(Clone, Deserialize)]
struct Claims {
    sub: String,
    sid: String,
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Clone, Serialize)]
struct Notice {
    reason: &'static str,
    at: f64,
}

impl Notice {
    fn new(reason: &'static str) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            reason,
            at: now.as_secs_f64(),
        }
    }
}

#[derive(Clone)]
struct Verifier {
    key: DecodingKey,
    rules: Validation,
}

impl Verifier {
    fn verify(&self, token: &str) -> Result<Claims, jsonwebtoken::errors::Error> {
        Ok(jsonwebtoken::decode(token, &self.key, &self.rules)?.claims)
    }
}

#[derive(Clone)]
struct Peer {
    io: SocketIo<Adapter>,
    redis: MultiplexedConnection,
    verifier: Verifier,
    admin_token: String,
}

// All on one core, as the hub and Node are.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Its adapter speaks RESP3 only.
    let client = redis::Client::open(format!("{}?protocol=resp3", env::var("REDIS_URL")?))?;
    let config = RedisAdapterConfig::new().with_ack_response_buffer(ACKNOWLEDGEMENTS);
    let adapter = RedisAdapterCtr::new_with_redis_config(&client, config).await?;
    let (layer, io) = SocketIo::builder()
        .with_adapter::<Adapter>(adapter)
        .build_layer();
    let secret = env::var("JWT_SECRET")?;
    let verifier = Verifier {
        key: DecodingKey::from_secret(secret.as_bytes()),
        rules: Validation::new(Algorithm::HS256),
    };
    let peer = Peer {
        io: io.clone(),
        redis: client.get_multiplexed_async_connection().await?,
        verifier: verifier.clone(),
        admin_token: env::var("ADMIN_TOKEN")?,
    };

    let authenticate = async move |socket: SocketRef<Adapter>, TryData(auth): TryData<Auth>| {
        let claims = auth.ok().and_then(|auth| verifier.verify(&auth.token).ok());
        socket.extensions.insert(claims.ok_or("token_invalid")?);
        Ok::<_, &str>(())
    };
    io.ns("/", enter.with(authenticate)).await?;

    let app = Router::new()
        .route("/readyz", get(async || ()))
        .route("/logout", post(log_out))
        .route("/admin/logout", post(log_out_everyone))
        .with_state(peer)
        .layer(layer);
    let port: u16 = env::var("PORT")?.parse()?;
    // A notice is small: without this it would wait for the answer to what was sent before.
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await?
        .tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
    axum::serve(listener, app).await?;
    Ok(())
}

/// Lets an accepted socket into the rooms of its user and its session.
async fn enter(socket: SocketRef<Adapter>) {
    if let Some(Claims { sub, sid }) = socket.extensions.remove::<Claims>() {
        socket.join([format!("user:{sub}"), format!("session:{sid}")]);
    }
}

async fn log_out(State(peer): State<Peer>, headers: HeaderMap) -> Result<Json<Notice>, StatusCode> {
    let claims = peer
        .verifier
        .verify(bearer(&headers))
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    let sockets = peer.io.to(format!("user:{}", claims.sub));
    // All replicas say in which rooms the user's sockets are, so which sessions there are.
    let rooms = sockets.clone().rooms().await.map_err(unavailable)?;
    let mut writes = redis::pipe();
    for session in rooms
        .iter()
        .filter_map(|room| room.strip_prefix("session:"))
    {
        writes
            .set_ex(format!("revoked:{session}"), "1", LIFETIME)
            .ignore();
    }
    let written: Result<(), RedisError> = writes.query_async(&mut peer.redis.clone()).await;
    written.map_err(unavailable)?;
    let notice = Notice::new("user");
    tokio::spawn(end(sockets, notice.clone()));
    Ok(Json(notice))
}

async fn log_out_everyone(
    State(peer): State<Peer>,
    headers: HeaderMap,
) -> Result<Json<Notice>, StatusCode> {
    if bearer(&headers) != peer.admin_token {
        return Err(StatusCode::FORBIDDEN);
    }
    let notice = Notice::new("admin");
    let mut write = redis::cmd("SET");
    write
        .arg("revoked:before")
        .arg(notice.at)
        .arg("EX")
        .arg(LIFETIME);
    let written: Result<(), RedisError> = write.query_async(&mut peer.redis.clone()).await;
    written.map_err(unavailable)?;
    tokio::spawn(end(peer.io.broadcast(), notice.clone()));
    Ok(Json(notice))
}

/// Tells sockets, waits until all have acknowledged or had their time, and disconnects them.
async fn end(sockets: BroadcastOperators<Adapter>, notice: Notice) {
    let asked = sockets
        .clone()
        .timeout(GRACE)
        .emit_with_ack::<_, Value>(EVENT, &notice)
        .await;
    match asked {
        Ok(answers) => answers.for_each(async |_| ()).await,
        Err(error) => eprintln!("not all were notified: {error}"),
    }
    if let Err(error) = sockets.disconnect().await {
        eprintln!("not all were disconnected: {error}");
    }
}

fn bearer(headers: &HeaderMap) -> &str {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

fn unavailable(error: impl Error) -> StatusCode {
    eprintln!("{error}");
    StatusCode::SERVICE_UNAVAILABLE
}
