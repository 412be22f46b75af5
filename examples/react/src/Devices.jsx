import { useEffect, useState } from "react";

/** The person's sessions, asked for again while the page is looked at. */
export function Devices({ hub }) {
  const [sessions, setSessions] = useState([]);
  const [round, setRound] = useState(0);
  const [trouble, setTrouble] = useState("");

  useEffect(() => {
    let isCurrent = true;
    hub
      .sessions()
      .then((found) => {
        if (isCurrent) setSessions(found);
        return "";
      })
      .catch((error) => error.message)
      .then((words) => isCurrent && setTrouble(words));
    const timer = setTimeout(() => setRound(round + 1), 5000);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [hub, round]);

  const end = (sid) =>
    hub.end(sid).then(
      () => setRound((last) => last + 1),
      (error) => setTrouble(error.message),
    );

  return (
    <section aria-labelledby="devices">
      <h2 id="devices">Where you are logged in</h2>
      {trouble && <p role="alert">{trouble}</p>}
      <ul>
        {sessions.map(({ sid, device, online, current }) => (
          <li key={sid}>
            {device} ({current ? "this device" : online ? "online" : "offline"}){" "}
            {!current && (
              <button type="button" onClick={() => end(sid)} aria-label={`Log out ${device}`}>
                Log out
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
