"use strict";
// Repositories by form: list, create, change visibility, delete. Uses `ask`, `byId` of home.js.

const KINDS = { model: "models", dataset: "datasets", space: "spaces" };

function say(text) { byId("message").textContent = text; byId("error").textContent = ""; }
function complain(text) { byId("error").textContent = text; byId("message").textContent = ""; }

/** Runs what a button or a form stands for, its controls off meanwhile, and tells what went wrong. */
async function doing(form, work, tell = complain) {
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    return await work();
  } catch (error) {
    tell(error.message);
    return undefined;
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

async function showRepos(news = "") {
  const query = { type: byId("list-type").value };
  const owner = byId("list-owner").value.trim();
  const search = byId("list-search").value.trim();
  if (owner) query.owner = owner;
  if (search) query.search = search;
  const found = await ask("api/repo", { query });
  byId("repos").replaceChildren(...found.repos.map(row));
  const count = found.repos.length === 0 ? `${found.owner} has no ${KINDS[query.type]} here.` : "";
  say([news, count].filter(Boolean).join(" "));
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function row(repo) {
  const kind = repo.private ? "private" : "public";
  const other = repo.private ? "public" : "private";
  const flip = element("button", { type: "button", textContent: `Make ${other}` });
  flip.setAttribute("aria-label", `Make ${repo.id} ${other}`);
  const remove = element("button", { type: "button", textContent: "Delete …" });
  remove.setAttribute("aria-label", `Delete ${repo.id}`);
  const name = element("a", { className: "name", textContent: repo.id, href: repo.url, rel: "noreferrer" });
  const item = element("li", {}, name, element("span", { className: "badge", textContent: kind }), flip, remove);
  flip.addEventListener("click", () => doing(item, async () => {
    const body = { type: repo.type, namespace: repo.id, private: !repo.private };
    await ask("api/repo", { method: "PUT", body });
    await showRepos(`${repo.id} is ${other} now.`);
  }));
  remove.addEventListener("click", () => confirmDelete(repo));
  return item;
}

function confirmDelete(repo) {
  const dialog = byId("delete");
  const typed = byId("delete-typed");
  const confirm = byId("delete-confirm");
  byId("delete-id").textContent = repo.id;
  byId("delete-error").textContent = "";
  typed.value = "";
  confirm.disabled = true;
  typed.oninput = () => { confirm.disabled = typed.value !== repo.id; };
  byId("delete-cancel").onclick = () => dialog.close();
  byId("delete-form").onsubmit = (event) => {
    event.preventDefault();
    if (typed.value !== repo.id) return;
    doing(dialog, async () => {
      await ask("api/repo", { method: "DELETE", body: { type: repo.type, name: repo.id } });
      dialog.close();
      await showRepos(`${repo.id} is deleted.`);
    }, (text) => { byId("delete-error").textContent = text; });
  };
  dialog.showModal();
  typed.focus();
}

byId("list-form").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(event.target, () => showRepos());
});
byId("list-type").addEventListener("change", () => doing(byId("list-form"), () => showRepos()));

byId("create-type").addEventListener("change", () => {
  byId("create-sdk-label").hidden = byId("create-type").value !== "space";
});
byId("create-form").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(event.target, async () => {
    const body = {
      type: byId("create-type").value,
      name: byId("create-name").value.trim(),
      private: byId("create-private").checked,
    };
    if (body.type === "space") body.sdk = byId("create-sdk").value;
    const made = await ask("api/repo", { method: "POST", body });
    byId("create-name").value = "";
    byId("list-type").value = made.type;
    byId("list-search").value = "";
    await showRepos(`${made.id} is created.`);
  });
});

document.addEventListener("account", () => doing(byId("list-form"), () => showRepos()));
