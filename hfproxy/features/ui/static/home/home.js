"use strict";
// The state of the gateway, the account, and how to point clients here. Everything is asked of the API beside this page.

const KEY = "hfproxy-key";
// Plain ASCII: whoever copies it as it is gets an answer of the gateway, not an error of the client.
const SAMPLE_KEY = "hfp_YOUR_KEY";
const base = new URL(".", document.baseURI);
const byId = (id) => document.getElementById(id);

/** What the API answers; throws an Error with the problem's words, and the problem itself as `problem`. */
async function ask(path, { method = "GET", body, query } = {}) {
  const url = new URL(path, base);
  if (query) url.search = new URLSearchParams(query);
  const headers = { Accept: "application/json" };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers, body: body && JSON.stringify(body), credentials: "omit" });
  } catch {
    throw new Error("The gateway does not answer.");
  }
  const said = await response.json().catch(() => ({}));
  if (response.ok) return said;
  if (said.code === "CallerUnknown") askForKey();
  throw Object.assign(new Error(inWords(response.status, said)), { problem: said });
}

function inWords(status, problem) {
  if (Array.isArray(problem.errors)) {
    return problem.errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
  }
  return problem.detail ? `${problem.title}: ${problem.detail}` : `The gateway answered ${status}.`;
}

function askForKey() {
  sessionStorage.removeItem(KEY);
  byId("key-form").hidden = false;
}

function mark(element, text, good) {
  element.textContent = text;
  element.classList.toggle("good", good === true);
  element.classList.toggle("bad", good === false);
}

async function showState() {
  const home = await ask("").catch(() => null);
  if (home) {
    byId("version").textContent = home.version;
    byId("hub").textContent = home.upstream;
  }
  const ready = await ask("-/ready").catch((error) => error.problem ?? {});
  if (ready.status === "ready") mark(byId("ready"), "ready", true);
  else if (ready.status === "degraded") mark(byId("ready"), "degraded", false);
  else mark(byId("ready"), ready.detail ?? "does not answer", false);
  const hub = ready.upstream ?? {};
  if (hub.state === "reachable") mark(byId("hub-state"), "reachable", true);
  else if (hub.state === "failing") mark(byId("hub-state"), `failing: ${hub.error}`, false);
  else mark(byId("hub-state"), "");
}

async function showAccount() {
  const place = byId("account");
  try {
    const account = await ask("api/account");
    place.textContent = account.fullname ? `${account.name} (${account.fullname})` : account.name;
    showRecipes({ keyed: sessionStorage.getItem(KEY) !== null });
    document.dispatchEvent(new CustomEvent("account", { detail: account }));
  } catch (error) {
    place.textContent = error.message;
  }
}

/** What to type elsewhere; with a key where this gateway wants one. */
function showRecipes({ keyed }) {
  const here = base.href.replace(/\/$/, "");
  const [argument, line, header] = keyed
    ? [`, token="${SAMPLE_KEY}"`, `export HF_TOKEN=${SAMPLE_KEY}\n`, ` -H "X-API-Key: ${SAMPLE_KEY}"`]
    : ["", "", ""];
  const curl = `curl${header} ${here}`;
  const recipes = {
    "use-python": `from huggingface_hub import HfApi\nhub = HfApi(endpoint="${here}"${argument})\nprint(hub.snapshot_download("OWNER/NAME"))`,
    "use-hf": `export HF_ENDPOINT=${here}\n${line}hf download OWNER/NAME`,
    "use-git": `git clone ${here}/OWNER/NAME${keyed ? `   # as the password: ${SAMPLE_KEY}` : ""}`,
    "use-curl": `${curl}/api/account\n${curl}/api/repo -d '{"type": "model", "name": "demo", "private": true}'`,
  };
  for (const [id, text] of Object.entries(recipes)) byId(id).textContent = text;
  byId("use-key").hidden = !keyed;
}

function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const what = button.parentElement.querySelector("h3").textContent;
    button.setAttribute("aria-label", `Copy the lines for ${what}`);
    button.addEventListener("click", () => copy(button, byId(button.dataset.copy)));
  }
}

async function copy(button, place) {
  try {
    await navigator.clipboard.writeText(place.textContent);
    button.textContent = "Copied";
  } catch {
    // Browsers keep the clipboard from pages that came over plain HTTP from afar: the text is marked instead.
    getSelection().selectAllChildren(place);
    button.textContent = "Press Ctrl-C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, byId("key").value.trim());
  byId("key").value = "";
  byId("key-form").hidden = true;
  showAccount();
});

showRecipes({ keyed: true });
offerCopies();
showState();
document.addEventListener("DOMContentLoaded", showAccount);
