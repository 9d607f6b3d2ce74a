// Answers of people: buttons, keys, and the beginning of the page.

function say(...texts) { part("said").replaceChildren(...texts); }

function go(number, focus = true) {
  labels.current = number;
  labels.keep();
  showClip();
  const line = items[number].line; // scrollIntoView would scroll the page, too
  part("list").scrollTop = line.offsetTop - (part("list").clientHeight - line.offsetHeight) / 2;
  // The next key is for this clip, not for the button that was pressed last.
  if (focus) part("heading").focus({ preventScroll: true });
  const box = part("film").getBoundingClientRect();
  if (focus && (box.top < 0 || box.top > innerHeight / 2)) scrollTo({ top: 0 });
}

function changed(number, label, skip, ...told) {
  labels.change(number, label, skip);
  showItem(number);
  const next = labels.after(number);
  say("Clip " + (number + 1) + ": ", ...told, ". " + labels.decided.size + " of " + labels.number + " " + word + ".");
  go(next === null ? number : next);
}

const answer = (name) => changed(labels.current, name, false, element("b", {}, isolated(name)));
const actions = {
  accept: () => { if (labels.cell(labels.current, "predicted_label")) answer(labels.cell(labels.current, "predicted_label")); },
  keep: () => { if (labels.given[labels.current]) answer(labels.given[labels.current]); },
  skip: () => {
    const number = labels.current;
    if (labels.open(number)) changed(number, null, true, "skipped");
    else go(labels.after(number) ?? Math.min(number + 1, labels.number - 1)); // what it has is left as it is
  },
  clear: () => {
    const number = labels.current;
    if (!labels.label(number)) return;
    // A label that came with the clip is taken from it; one that was given here was a mistake.
    labels.change(number, labels.given[number] ? "" : null, false);
    showItem(number);
    say("Clip " + (number + 1) + ": label removed.");
    go(number);
  },
  undo: () => {
    if (!labels.history.length) return;
    const number = labels.undo();
    showItem(number);
    say("Clip " + (number + 1) + ": undone.");
    go(number);
  },
  back: () => { if (labels.current > 0) go(labels.current - 1); },
  next: () => { if (labels.current < labels.number - 1) go(labels.current + 1); },
  add: () => addClass(),
  save: () => {
    download("clips.csv", labels.table());
    labels.saved = labels.changes;
    labels.keep();
    showProgress();
    say("Saved.");
  },
  reset: () => {
    if (!confirm("Remove all labels that were given on this page? This cannot be undone.")) return;
    labels.forget();
    showList();
    say("All labels are removed.");
    go(0);
  },
};

function addClass() {
  const name = part("wanted").value.trim();
  if (content.refused.includes(name.toLowerCase())) {
    part("refused").replaceChildren("“" + name + "” means that a clip has no label. Skip the clip instead.");
    show("refused", true);
    return;
  }
  answer(name);
}

// The class of this name, or the first one that has the typed text in its name, or a new one.
function find() {
  const wanted = part("wanted").value.trim().toLowerCase();
  if (!wanted) { part("heading").focus(); return; }
  const found = shown.find((name) => name.toLowerCase() === wanted) ?? shown.find((name) => name.toLowerCase().includes(wanted));
  if (found === undefined) addClass(); else answer(found);
}

function along(step) {
  const buttons = [...part("classes").querySelectorAll("button")];
  const place = buttons.indexOf(document.activeElement) + step;
  (buttons[place] ?? (place < 0 ? part("wanted") : buttons.at(-1)))?.focus();
}

const KEYS = {
  enter: "accept", " ": "skip", s: "skip", backspace: "back", arrowleft: "back", arrowright: "next", u: "undo", k: "keep",
  delete: "clear",
};

document.addEventListener("keydown", (event) => {
  const pressed = event.key.toLowerCase();
  const [at, within] = [event.target, (names) => event.target.matches(names)];
  if (event.isComposing || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (pressed === "z" && !event.shiftKey && !within("#wanted")) { event.preventDefault(); actions.undo(); }
    return;
  }
  if (within("#wanted, #classes button") && (pressed === "arrowdown" || pressed === "arrowup")) {
    event.preventDefault();
    along(pressed === "arrowdown" ? 1 : -1);
    return;
  }
  if (within("#wanted")) {
    if (pressed === "escape") { at.value = ""; showClasses(); part("heading").focus(); }
    return;
  }
  if (within("select") || (within("#frame") && pressed.startsWith("arrow"))) return;
  // These press the button or open the help that has the focus.
  if (within("button, summary") && (pressed === "enter" || pressed === " ")) return;
  const number = /^[1-9]$/.test(pressed) ? Number(pressed) : 0;
  if (!KEYS[pressed] && !number && pressed !== "/" && pressed !== "p") return;
  event.preventDefault();
  if (event.repeat && !pressed.startsWith("arrow")) return;
  if (pressed === "/") part("wanted").focus();
  else if (pressed === "p") { if (content.films[labels.current].frames > 1) player.toggle(); }
  else if (!number) actions[KEYS[pressed]]();
  else part("classes").querySelector(`[aria-keyshortcuts="${number}"]`)?.click();
});

Object.entries(actions).forEach(([id, action]) => part(id).addEventListener("click", action));
// A button that was pressed with the mouse would take the next Enter.
document.addEventListener("click", (event) => {
  if (event.detail > 0) event.target.closest("button, #frame")?.blur();
});
part("wanted").addEventListener("input", showClasses);
part("find").addEventListener("submit", (event) => { event.preventDefault(); find(); });
part("filter").append(...Object.entries(KINDS).map(([value, [text]]) => element("option", { value, textContent: text })));
part("filter").addEventListener("change", showList);
part("list").append(...items.map(({ line }) => line));
addEventListener("beforeunload", (event) => { if (labels.unsaved) event.preventDefault(); });
// Another tab with the same page has changed something.
addEventListener("storage", (event) => {
  if (event.key !== content.key) return;
  const { current } = labels;
  labels.forget();
  labels.load();
  labels.current = current;
  showList();
  showClip();
});
if (content.classes.length > NUMBERED) part("classes").before(part("find"));
if (labels.checking) part("question").textContent = "Is the label of this clip right?";
else document.querySelectorAll(".checking").forEach((line) => line.remove());
if (labels.decided.size + labels.skipped.size) {
  say("Welcome back: " + labels.decided.size + " of " + labels.number + " " + word + ".");
}
showList();
go(Math.min(labels.current, labels.number - 1), false);
