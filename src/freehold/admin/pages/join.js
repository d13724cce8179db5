// The invitation stands behind the # of the link: it is never sent with a request for this page, nor kept in a server's log.
const form = document.getElementById("join");
const said = document.getElementById("said");
const invite = location.hash.slice(1);

function say(text, refused) {
  said.textContent = text;
  said.className = refused ? "refused" : "";
}

if (!invite) {
  form.hidden = true;
  say("This link holds no invitation. Open it as it was given to you, with all that stands behind the #.", true);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  say("", false);
  try {
    const reply = await fetch("/api/v1/auth/invites/accept", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ invite, ...Object.fromEntries([...new FormData(form)].filter(([, value]) => value)) }),
    });
    const answer = await reply.json();
    if (!reply.ok) return say(answer.detail || answer.title, true);
    if (answer.state === "code_needed") {
      document.getElementById("second").hidden = false;
      return say("Your account has a second factor: enter its code.", true);
    }
    history.replaceState(null, "", location.pathname);
    form.hidden = true;
    say("You are in. This browser is signed in; the API is at " + location.origin + "/api/v1.", false);
  } catch {
    say("Freehold did not answer. Try again in a moment.", true);
  } finally {
    button.disabled = false;
  }
});
