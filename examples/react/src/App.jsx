import { useEffect, useState } from "react";
import { Devices } from "./Devices.jsx";
import { useLogoutHub } from "./useLogoutHub.js";

/** The token stays in memory: asked for at each connect, and never stored. */
async function token() {
  const answer = await fetch("/api/token", { cache: "no-store" });
  if (answer.ok) return answer.text();
  if (answer.status === 401) return undefined;
  throw new Error(`the server answered ${answer.status}`);
}

const OPTIONS = { url: document.documentElement.dataset.hub, token, keep: ["theme"] };

function Login({ why, onLogin }) {
  async function submit(event) {
    event.preventDefault();
    const body = JSON.stringify({ name: new FormData(event.target).get("name") });
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("/api/login", { method: "POST", headers, body });
    if (answer.ok) onLogin(await answer.json());
  }
  return (
    <main>
      <h1>Log in</h1>
      {why && <p role="status">You were logged out: {why.message ?? why.reason}.</p>}
      <form onSubmit={submit}>
        <label htmlFor="name">Your name (any will do)</label>
        <input id="name" name="name" required maxLength={50} autoComplete="username" />
        <button type="submit">Log in</button>
      </form>
    </main>
  );
}

function Private({ person, onLogout }) {
  const { hub, state } = useLogoutHub(OPTIONS, onLogout);
  const [draft, setDraft] = useState(() => sessionStorage.getItem("draft") ?? "");

  function write(event) {
    setDraft(event.target.value);
    sessionStorage.setItem("draft", event.target.value);
  }

  // The client hides what is marked until the hub has confirmed the session.
  return (
    <>
      <p role="status">{state}</p>
      <main data-private>
        <h1>Notes of {person.name}</h1>
        <label htmlFor="draft">A draft, kept in this tab only</label>
        <textarea id="draft" rows={4} value={draft} onChange={write} />
        <button type="button" onClick={() => hub.logout()}>
          Log out everywhere
        </button>
        {hub && <Devices hub={hub} />}
      </main>
    </>
  );
}

export function App() {
  const [person, setPerson] = useState(); // undefined: not known yet; null: nobody
  const [why, setWhy] = useState();

  useEffect(() => {
    fetch("/api/me", { cache: "no-store" })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then(setPerson, () => setPerson(null));
  }, []);

  function out(notification) {
    setWhy(notification);
    setPerson(null);
  }

  if (person === undefined) return null;
  if (person === null) return <Login why={why} onLogin={setPerson} />;
  return <Private person={person} onLogout={out} />;
}
