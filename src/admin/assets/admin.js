// Keeps the page up to date, and operates circuits. The server writes all of the HTML; what has changed is put in place,
// so that the focus, the selection and a click that has begun stay where they are.
"use strict";
{
  const byId = (id) => document.getElementById(id);
  const main = byId("main");
  const status = byId("status");
  document.documentElement.classList.add("js");

  const say = (text, kind) => {
    status.textContent = text;
    status.className = kind;
  };

  // ---- what has changed ------------------------------------------------------------------------------

  function becomeLike(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      return void old.replaceWith(document.importNode(fresh, true));
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    const changesState = old.nodeName === "TR" && old.classList[0] !== fresh.classList[0];
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (changesState) {
      old.classList.add("fresh");
      setTimeout(() => old.classList.remove("fresh"), 2000);
    }
    bringIntoOrder(old, fresh);
    const olds = [...old.childNodes];
    const freshs = [...fresh.childNodes];
    freshs.forEach((child, i) => olds[i] ? becomeLike(olds[i], child) : old.append(document.importNode(child, true)));
    olds.slice(freshs.length).forEach((child) => child.remove());
  }

  // Rows keep their identity when they change places.
  function bringIntoOrder(old, fresh) {
    if (old.nodeName !== "TBODY") return;
    const rows = new Map([...old.children].map((row) => [row.id, row]));
    [...fresh.children].forEach((row, i) => {
      const known = rows.get(row.id);
      if (old.children[i] !== known || !known) {
        old.insertBefore(known ?? document.importNode(row, true), old.children[i] ?? null);
      }
    });
  }

  // ---- when to look ----------------------------------------------------------------------------------

  let looking = false;
  let again = false;

  async function look() {
    if (looking) return void (again = true);
    looking = true;
    try {
      const address = location.href;
      const response = await fetch(address);
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
      if (address === location.href) {
        const focused = document.activeElement?.id;
        becomeLike(main, fresh);
        if (focused && document.activeElement === document.body) byId(focused)?.focus();
      }
      main.classList.remove("stale");
      say(`as of ${new Date().toLocaleTimeString()}`, "live");
    } catch {
      main.classList.add("stale");
      say("The service does not answer. This is what it said last.", "lost");
    }
    looking = false;
    if (again) {
      again = false;
      setTimeout(look, 100);
    }
  }

  let events;
  let timer;

  // A page that nobody sees neither looks nor takes the place of one that somebody sees.
  function follow() {
    clearInterval(timer);
    events?.close();
    if (document.hidden) return;
    timer = setInterval(look, 2000);
    events = new EventSource("api/events");
    for (const kind of ["transition", "operator", "lagged"]) events.addEventListener(kind, look);
    look();
  }
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => events?.close());

  // ---- going from one circuit to another -------------------------------------------------------------

  const goTo = (address) => {
    history.pushState(null, "", address);
    look();
  };
  main.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    goTo(link.href);
  });
  addEventListener("popstate", look);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("ask").open && byId("close")) goTo(byId("close").href);
  });

  // ---- operating -------------------------------------------------------------------------------------

  const ask = byId("ask");
  const form = ask.querySelector("form");
  let asked;

  main.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const { action, text, share } = button.dataset;
    const { circuit, name } = button.parentElement.dataset;
    asked = { action, circuit, opener: button.id };
    form.reset();
    byId("ask-title").textContent = byId("ask-go").textContent = button.textContent.replace("…", "");
    byId("ask-go").className = button.className;
    byId("ask-name").textContent = name;
    byId("ask-text").textContent = text;
    byId("ask-error").textContent = "";
    byId("ask-for").hidden = !action.startsWith("force_");
    byId("ask-share").hidden = action !== "enforcement";
    byId("ask-settings").hidden = action !== "reconfigure";
    form.elements.share.required = action === "enforcement";
    form.elements.share.value = share ?? "";
    form.elements.settings.value = byId("settings").textContent;
    ask.showModal();
    form.elements.reason.focus();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { action, circuit } = asked;
    const go = byId("ask-go");
    go.disabled = true;
    try {
      const body = action === "reconfigure" ? JSON.parse(form.elements.settings.value) : {};
      if (action === "enforcement") body.share = form.elements.share.valueAsNumber;
      if (action.startsWith("force_") && form.elements.for.value) body.for = form.elements.for.value;
      body.reason = form.elements.reason.value;
      const response = await fetch(`api/circuits/${circuit}/${action}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error((await response.json()).error);
      ask.close();
      look();
    } catch (error) {
      byId("ask-error").textContent = error.message;
    }
    go.disabled = false;
  });
  byId("ask-cancel").addEventListener("click", () => ask.close());
  ask.addEventListener("close", () => byId(asked.opener)?.focus());

  follow();
}
