// What makes the pages quick. Without it they work by forms and by loading them again. It draws nothing of its own: what
// it puts into the page are pieces of HTML that the server's templates made, and texts as texts.

const $ = (id) => document.getElementById(id);
const main = document.querySelector("main");
const csrf = document.querySelector("meta[name=csrf]").content;
const conversation = main.dataset.conversation;
const question = $("question"), log = $("log"), live = $("live");

document.documentElement.classList.add("js");

// Words for screen readers; the oldest go.
function say(text) {
  if (!live || !text.trim()) return;
  const line = document.createElement("p");
  line.textContent = text.trim();
  live.append(line);
  while (live.childElementCount > 8) live.firstElementChild.remove();
}

function problem(text, link) {
  const box = $("problem");
  if (!box) return;
  box.textContent = text;
  if (text && link) {
    const a = document.createElement("a");
    a.href = location.pathname;
    a.textContent = link;
    box.append(" ", a);
  }
}

const sentence = (e) => [e.message, e.hint].filter(Boolean).map((s) => s[0].toUpperCase() + s.slice(1) + ".").join(" ");

function signedOut() {
  over = true;
  source?.close();
  if ($("link")) $("link").textContent = "";
  problem(question?.value.trim() ? "You are signed out here. What you typed stays in this tab." : "You are signed out here.", "Sign in again");
  for (const button of document.querySelectorAll(".composer button")) button.disabled = true;
}

// What is typed and not sent outlives the page: it stays in this tab, for this person, until it is sent or the person
// signs out.
const person = document.querySelector("meta[name=person]")?.content;
let leaving = false;

// shelf reads what is kept for a conversation ("": a new one), or keeps a text ("": nothing) for it.
function shelf(where, text) {
  const name = `draft ${person} ${where ?? ""}`;
  try {
    if (text) sessionStorage.setItem(name, text);
    else if (text === "") sessionStorage.removeItem(name);
    else return sessionStorage.getItem(name) ?? "";
  } catch {} // there is no room, or the browser keeps nothing
  return "";
}

// What was typed in a conversation that is gone goes into a new one.
function rescue(id) {
  const text = shelf(id);
  shelf(id, "");
  if (text && !shelf("")) shelf("", text);
  return text;
}

if (person) {
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith("draft ") && !name.startsWith(`draft ${person} `)) sessionStorage.removeItem(name);
  } catch {}
}
if (person && question) {
  if (!question.value) question.value = shelf(conversation);
  addEventListener("pagehide", () => { if (!leaving) shelf(conversation, question.value.trim() && question.value); });
} else if (person && document.querySelector("[data-status='404']")) {
  const id = location.pathname.match(/^\/c\/([0-9a-f]+)/)?.[1];
  if (id && rescue(id)) document.querySelector(".hero").insertAdjacentHTML("beforeend", "<p>What you typed is kept: it is in the box of a new conversation.</p>");
}

// How much fits: characters are counted as the server counts them, not by halves of them as a textarea does.
const limit = Number(question?.dataset.limit), many = (n) => n.toLocaleString("en");
const length = (text) => (text.length <= limit || text.length > 20 * limit ? text.length : [...text].length);
let tooLong = 0;

function measure() {
  if (!question) return;
  const left = limit - length(question.value.trim()), was = tooLong;
  tooLong = Math.max(0, -left);
  $("room").textContent = tooLong ? `${many(tooLong)} characters too long` : left <= limit / 20 ? `${many(left)} characters left` : "";
  question.setAttribute("aria-invalid", String(tooLong > 0));
  if (tooLong && !was) say($("room").textContent);
}

// So much that the page would be busy with it for long, and that cannot be sent anyway, is not put in.
question?.addEventListener("beforeinput", (e) => {
  const size = (e.data ?? e.dataTransfer?.getData("text/plain") ?? "").length;
  if (size <= 10 * limit) return;
  e.preventDefault();
  problem(`That has ${many(size)} characters, and a question ${many(limit)} at most. It was not put into the box.`);
});

// Forms that have an address of the API are sent without leaving the page.
document.addEventListener("submit", async (e) => {
  const form = e.target, by = e.submitter;
  const action = new URL(form.action, location).pathname;
  if (action === "/signout") {
    leaving = true;
    try { sessionStorage.clear(); } catch {}
  } else if (conversation && action === `/c/${conversation}/delete`) {
    leaving = true;
    shelf(conversation, "");
  }
  const address = by?.dataset.api ?? form.dataset.api;
  if (!address) {
    if (form.dataset.sent) e.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 3000);
    return;
  }
  e.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "1";
  const body = Object.fromEntries(new FormData(form, by));
  delete body.csrf;
  const asks = form.id === "ask" && !by?.dataset.api;
  if (asks && tooLong) {
    problem(`A question has at most ${many(limit)} characters, and this ${many(limit + tooLong)}. It was not sent: ask with fewer words.`);
    delete form.dataset.sent;
    return;
  }
  problem("");
  if (asks) follow = true; // before the answer to this: what happens may be told earlier
  try {
    const answer = await fetch(address, {
      method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body),
    });
    if (asks && !answer.ok) follow = false;
    if (answer.status === 401) signedOut();
    else if (!answer.ok) problem(sentence((await answer.json()).error));
    else if (asks) {
      question.value = "";
      fit();
      measure();
      if (!conversation) shelf("asked", "yes");
      if (!conversation) location.assign("/c/" + (await answer.json()).id);
    }
  } catch {
    problem("This did not reach the server. Try again in a moment.");
  }
  delete form.dataset.sent;
});

// The question: Enter sends, Shift+Enter begins a line, and the field grows. Where there is nothing but a finger, Enter
// begins a line, since there is no Shift to hold.
const finger = matchMedia("(pointer: coarse)").matches && !matchMedia("(any-pointer: fine)").matches;
function fit() {
  if (!question || CSS.supports("field-sizing", "content")) return;
  question.style.height = "auto";
  question.style.height = question.scrollHeight + "px";
}
question?.addEventListener("input", () => { fit(); measure(); });
fit();
measure();
question?.addEventListener("keydown", (e) => {
  if (e.key !== "Enter" || finger || e.shiftKey || e.isComposing || e.keyCode === 229) return;
  e.preventDefault();
  if (main.dataset.state !== "running" && question.value.trim()) question.form.requestSubmit(question.form.querySelector(".send"));
});
if (question && !finger && !location.hash) question.focus();

document.addEventListener("click", async (e) => {
  const button = e.target.closest("[data-copy], [data-copy-text]");
  if (button) return copy(button);
  const link = e.target.closest("[data-chain]");
  if (link && chain && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
    e.preventDefault();
    opener = link;
    showChain(link.getAttribute("href"), true);
  }
});

async function copy(button) {
  const label = button.querySelector("span");
  try {
    if (button.dataset.copy) await navigator.clipboard.writeText(button.dataset.copy);
    else {
      const text = $(button.dataset.copyText).querySelector(".text");
      const as = (type, value) => ({ [type]: new Blob([value], { type }) });
      await navigator.clipboard.write([new ClipboardItem({ ...as("text/plain", text.innerText.trim()), ...as("text/html", text.innerHTML) })]);
    }
    label.textContent = "Copied";
    say("Copied");
  } catch {
    label.textContent = "The browser does not let this page copy";
  }
  setTimeout(() => { label.textContent = "Copy"; }, 2000);
}

// How a call was done: a panel beside the conversation, or over it where there is no room.
const chain = $("chain");
const wide = matchMedia("(min-width: 1100px)");
let opener = null, shownChain = "";

async function showChain(address, focus) {
  shownChain = address;
  const body = chain.querySelector(".panel-body");
  let text = "";
  try {
    const answer = await fetch(address + "&part=1");
    if (answer.status === 401) return signedOut();
    text = await answer.text();
    if (!answer.ok) text = new DOMParser().parseFromString(text, "text/html").querySelector(".hero")?.innerHTML ?? "";
  } catch {
    text = "<p>This did not reach the server.</p>";
  }
  if (shownChain !== address) return;
  body.innerHTML = text;
  if (!chain.open) {
    if (wide.matches) chain.show();
    else chain.showModal();
  }
  if (focus) body.focus();
}
chain?.querySelector(".close").addEventListener("click", () => chain.close());
chain?.addEventListener("close", () => {
  shownChain = "";
  if (document.activeElement === document.body || chain.contains(document.activeElement)) (opener?.isConnected ? opener : question).focus();
});
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape" && chain?.open && !document.querySelector(":popover-open")) chain.close();
});

// The conversation as it grows.
let source = null, over = false, follow = false, spoken = "";
// The page of a conversation that was just begun tells of an answer that came before it, too.
let begun = Boolean(conversation && shelf("asked"));
shelf("asked", "");

const atEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 120;

function parse(html) {
  const piece = document.createElement("template");
  piece.innerHTML = html;
  for (const field of piece.content.querySelectorAll("input[name=csrf]")) field.value = csrf;
  return piece.content;
}

function announce(card) { say(card.querySelector("h3").textContent + " " + card.querySelector("p").textContent); }

// Puts a message in the place of its older self: what is open stays open, what has the focus keeps it.
function put(next) {
  const old = $(next.id);
  if (old?.outerHTML === next.outerHTML) return old;
  const news = [...next.querySelectorAll(".card.ask, .card.refusal")].filter((card) => !old?.querySelector(`.card[id="${card.id}"]`));
  if (!old) log.append(next);
  else {
    const open = new Set([...old.querySelectorAll("details[open]")].map((d) => d.closest("[id]").id));
    for (const d of next.querySelectorAll("details")) if (open.has(d.closest("[id]").id)) d.open = true;
    const held = old.contains(document.activeElement) ? document.activeElement.closest("[id]").id : "";
    old.replaceWith(next);
    if (held) ($(held)?.querySelector("summary, button, a") ?? question).focus({ preventScroll: true });
  }
  news.forEach(announce);
  return next;
}

// Goes to the end of the conversation, or to where what waits for the person begins.
function toEnd() {
  scrollTo(0, document.documentElement.scrollHeight);
  const card = log.lastElementChild?.querySelector(".card");
  if (card && card.getBoundingClientRect().top < document.querySelector(".top").offsetHeight) card.scrollIntoView();
}

// Follows the end of the conversation, unless the person has gone elsewhere to read.
function scroll(was) {
  if (!was && !follow) return;
  follow = false;
  toEnd();
}

function speak(text, all) {
  spoken += text.replace(/[*_`#>|]+/g, "");
  const end = all ? spoken.length : Math.max(spoken.lastIndexOf(". "), spoken.lastIndexOf("\n")) + 1;
  if (end > (all ? 0 : 120)) {
    say(spoken.slice(0, end));
    spoken = spoken.slice(end);
  }
}

function setState(state) {
  if (main.dataset.state !== state) {
    if (state === "running") say("The answer begins.");
    else {
      speak("", true);
      say(state === "waiting" ? "The answer waits for you." : "The answer has ended.");
    }
  }
  main.dataset.state = state;
  rest();
}

// A page that nobody sees does not watch while nothing happens: a browser has few connections for each server.
function rest() {
  if (document.hidden && main.dataset.state !== "running") source?.close();
}

const on = {
  log(d) {
    const was = atEnd();
    document.querySelector(".empty")?.remove();
    const messages = [...parse(d.html).children];
    const ids = new Set(messages.map((m) => m.id));
    for (const old of [...log.children]) if (!ids.has(old.id)) old.remove();
    messages.map(put).forEach((m, i) => { if (log.children[i] !== m) log.insertBefore(m, log.children[i]); });
    if (begun) {
      begun = false;
      main.dataset.state = d.state === "running" ? "" : "running"; // setState tells of a change
      if (d.state === "running") setState(d.state);
      for (const card of log.querySelectorAll(".card.ask, .card.refusal")) announce(card);
      speak([...log.querySelectorAll(".message.assistant .text")].map((text) => text.innerText).join("\n"), false);
    }
    setState(d.state);
    scroll(was);
  },
  message(d) {
    const was = atEnd();
    const m = put(parse(d.html).firstElementChild);
    if (!m.classList.contains("running")) speak("", true);
    const link = [...m.querySelectorAll("[data-chain]")].pop();
    if (link && chain.open && wide.matches && shownChain !== link.getAttribute("href")) showChain(link.getAttribute("href"), false);
    scroll(was);
  },
  text(d) {
    const was = atEnd();
    const text = $("m-" + d.message)?.querySelector(".text");
    if (!text) return;
    if (d.html) text.innerHTML = d.html;
    else text.append(d.text);
    speak(d.text, false);
    scroll(was);
  },
  state(d) { setState(d.state); },
  item(d) {
    document.querySelector("h1").textContent = d.title;
    document.title = d.title + " · onbehalf";
  },
  full(d) { problem(sentence(d.error)); },
  gone() {
    leaving = true;
    shelf(conversation, question.value.trim() && question.value);
    rescue(conversation);
    location.assign("/");
  },
  "signed-out": signedOut,
};

function connect() {
  source = new EventSource(`/api/conversations/${conversation}/events?as=page`);
  for (const [name, handle] of Object.entries(on)) source.addEventListener(name, (e) => handle(JSON.parse(e.data)));
  source.addEventListener("open", () => { $("link").textContent = ""; });
  source.addEventListener("error", async () => {
    $("link").textContent = "Connection lost, trying again.";
    if (source.readyState !== EventSource.CLOSED || over) return;
    const answer = await fetch(`/api/conversations/${conversation}`).catch(() => null);
    if (answer?.status === 401) signedOut();
    else if (answer?.status === 404) on.gone();
    else setTimeout(() => { if (source.readyState === EventSource.CLOSED && !over) connect(); }, 3000);
  });
}
if (conversation) {
  if (main.dataset.state === "running") follow = true;
  if (log.lastElementChild && !location.hash) toEnd();
  connect();
  document.addEventListener("visibilitychange", () => {
    rest();
    if (!document.hidden && !over && source.readyState === EventSource.CLOSED) connect();
  });
}
