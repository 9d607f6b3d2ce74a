// The page shows one clip and its question, and the list of all clips.

const NUMBERED = 9; // classes that have a key
const part = (id) => document.getElementById(id);
const content = JSON.parse(part("content").textContent);
part("content").remove();
const labels = new Labels(content);
const player = new Player(part("film"), part("frame"), part("pause"), content.sheet_columns);
const word = labels.checking ? "checked" : "labeled";
let shown = []; // classes of the current clip, by the number of their keys

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A name keeps its own direction, and does not turn the text around it.
const isolated = (text) => element("bdi", { textContent: text });
const key = (text) => element("kbd", { textContent: text });
const show = (id, whether) => { part(id).hidden = !whether; };

function percent(text) {
  if (text === "") return "";
  const value = 100 * Number(text);
  return value > 0 && value < 1 ? "< 1 %" : value < 100 && value > 99 ? "> 99 %" : Math.round(value) + " %";
}

function clock(text) {
  const tenths = Math.round(10 * Number(text));
  const [minutes, seconds] = [Math.floor(tenths / 600), (tenths % 600) / 10];
  return minutes + ":" + (seconds < 10 ? "0" : "") + seconds.toFixed(tenths % 10 ? 1 : 0);
}

const file = (number) => labels.cell(number, "path").split("/").pop();

function stretch(number) {
  const [start, end] = [labels.cell(number, "start"), labels.cell(number, "end")];
  if (start === "" && end === "") return "";
  return clock(start || "0") + " to " + (end === "" ? "the end" : clock(end));
}

// Few classes keep their places, so that a key always has the same meaning. Of many, the ones that are likely come
// first: those of the model, then those that were chosen last.
function ordered() {
  const all = labels.classes;
  if (content.classes.length <= NUMBERED) return all;
  const model = ["predicted_label", "second_label"].map((column) => labels.cell(labels.current, column));
  return [...new Set([...model, ...labels.recent].filter((name) => all.includes(name))), ...all]
    .filter((name, place, names) => names.indexOf(name) === place);
}

function showClasses() {
  const number = labels.current;
  const wanted = part("wanted").value.trim().toLowerCase();
  const chances = new Map([
    [labels.cell(number, "second_label"), percent(labels.cell(number, "second_probability"))],
    [labels.cell(number, "predicted_label"), percent(labels.cell(number, "probability"))],
  ]);
  const known = new Set([...content.classes, ...labels.given]);
  shown = ordered();
  const buttons = shown.flatMap((name, place) => {
    if (!name.toLowerCase().includes(wanted)) return [];
    const button = element("button", { type: "button" }, place < NUMBERED ? key(place + 1) : "", isolated(name));
    button.setAttribute("aria-pressed", String(labels.label(number) === name));
    if (place < NUMBERED) button.setAttribute("aria-keyshortcuts", String(place + 1));
    const told = known.has(name) ? chances.get(name) : "new";
    if (told) button.append(element("span", { className: "chance", textContent: told }));
    button.addEventListener("click", () => answer(name));
    return [element("li", {}, button)];
  });
  part("classes").replaceChildren(...buttons);
  part("classes").classList.toggle("found", wanted !== "");
  const typed = part("wanted").value.trim();
  show("add", typed !== "" && !shown.some((name) => name.toLowerCase() === wanted));
  part("add").replaceChildren("New class: ", isolated(typed));
  show("refused", false);
}

function showOffers() {
  const number = labels.current;
  const [found, second] = ["predicted_label", "second_label"].map((column) => labels.cell(number, column));
  const given = labels.given[number];
  const quality = percent(labels.cell(number, "quality"));
  show("keep", given !== "");
  part("keep").replaceChildren(
    key("K"),
    element("span", {}, "Keep ", element("b", {}, isolated(given))),
    element("span", { className: "chance", textContent: quality && "quality " + quality }),
  );
  show("accept", found !== "" && found !== given);
  part("accept").replaceChildren(
    key("Enter"),
    element("span", {}, "The model says ", element("b", {}, isolated(found))),
    element("span", { className: "chance", textContent: percent(labels.cell(number, "probability")) }),
  );
  const agrees = found !== "" && found === given;
  part("guesses").replaceChildren(
    ...(agrees ? ["The model agrees (" + percent(labels.cell(number, "probability")) + "). "] : []),
    ...(second ? ["Its second guess: ", isolated(second), " " + percent(labels.cell(number, "second_probability"))] : []),
  );
}

function showFilm() {
  const number = labels.current;
  const film = content.films[number];
  const playable = (whether) => part("player").classList.toggle("away", !whether);
  const failed = (text) => {
    playable(false);
    show("problem", true);
    part("problem").textContent = text;
  };
  playable(film.frames > 0);
  show("problem", false);
  player.show(film, () => failed("The picture " + film.sheet + " is not beside this page."));
  if (!film.frames) failed("This clip cannot be shown: " + film.problem + ". You can skip it.");
  show("damage", film.frames > 0 && film.problem !== "");
  part("damage").textContent = "The rest of this clip cannot be read: " + film.problem + ".";
  part("film").setAttribute("aria-label", "Moving picture of " + file(number));
  const faster = film.frames ? film.seconds / player.loop : 1;
  const long = film.seconds < 60 ? film.seconds.toFixed(1) + " s" : clock(film.seconds) + " min";
  part("pace").textContent = long + (faster >= 1.5 ? ", shown " + Math.round(faster) + "× faster" : "");
  const next = labels.after(number);
  if (next !== null) player.prepare(content.films[next]);
}

function showClip() {
  const number = labels.current;
  const state = labels.done(number) ? (labels.label(number) ? "" : ", label removed")
    : labels.skipped.has(number) ? ", skipped" : "";
  part("heading").textContent = "Clip " + (number + 1) + " of " + labels.number + state;
  part("name").textContent = file(number);
  part("folder").textContent = labels.cell(number, "path").slice(0, -file(number).length - 1) || "/";
  part("stretch").textContent = stretch(number);
  showFilm();
  part("wanted").value = "";
  showOffers();
  showAnswer();
  items.forEach((item, place) => {
    if (place === number) item.button.setAttribute("aria-current", "true");
    else item.button.removeAttribute("aria-current");
  });
}

function showAnswer() {
  showClasses();
  part("back").disabled = labels.current === 0;
  part("next").disabled = labels.current === labels.number - 1;
  part("undo").disabled = labels.history.length === 0;
  part("clear").disabled = labels.label(labels.current) === "";
  showProgress();
}

function showProgress() {
  const [done, skipped] = [labels.decided.size, labels.skipped.size];
  part("bar").max = labels.number;
  part("bar").value = done;
  part("count").textContent = done + " of " + labels.number + " " + word + (skipped ? ", " + skipped + " skipped" : "");
  document.title = done + " of " + labels.number + " " + word;
  part("save").classList.toggle("wanted", labels.unsaved);
  part("reset").disabled = labels.changes === 0;
  showNotice(labels.number === done + skipped);
}

function showNotice(finished) {
  const skipped = labels.skipped.size;
  const texts = finished ? [skipped ? "All clips are " + word + ", but for " + skipped + " skipped." : "All clips are " + word + "."] : [];
  if (!labels.unsaved && labels.changes > 0) {
    texts.push("Saved: clips.csv is among the downloads of your browser. Put it in place of the clips.csv beside this page.");
  } else if (!labels.kept) {
    texts.push("This browser does not keep your labels: save clips.csv before you close the page.");
  } else {
    texts.push(finished ? "Now save clips.csv." : "Your labels are kept in this browser. Save clips.csv when you are done.");
  }
  part("notice").classList.toggle("good", finished);
  part("notice").classList.toggle("warn", !labels.kept);
  const told = texts.join(" ");
  if (part("told").textContent !== told) part("told").textContent = told; // or it would be read out again
}

const items = content.films.map((film, number) => {
  const picture = film.frames
    ? element("img", { alt: "", loading: "lazy", decoding: "async", src: film.still })
    : element("span", { className: "no-picture", textContent: "no picture" });
  const state = element("span", { className: "state" });
  const button = element("button", { type: "button" }, picture, element("span", { className: "at", textContent: number + 1 }), state);
  button.title = file(number);
  button.addEventListener("click", () => go(number));
  return { line: element("li", {}, button), button, state };
});

const KINDS = {
  all: ["all clips", () => true],
  open: ["not " + word + " yet", (number) => !labels.done(number)],
  done: [word, (number) => labels.done(number)],
  skipped: ["skipped", (number) => labels.skipped.has(number)],
  problem: ["with a problem", (number) => content.films[number].problem !== ""],
};

function showItem(number) {
  const { line, button, state } = items[number];
  const [done, skipped, label] = [labels.done(number), labels.skipped.has(number), labels.label(number)];
  line.className = done ? "done" : skipped ? "skipped" : "";
  const told = skipped ? "skipped" : done && !label ? "no label" : "";
  state.replaceChildren(...(told ? [told] : label ? [isolated(label)] : []));
  const answer = done ? word : skipped ? "skipped" : "not " + word + " yet";
  button.setAttribute("aria-label", ["Clip " + (number + 1), file(number), answer, label].filter(Boolean).join(", "));
  line.hidden = !KINDS[part("filter").value][1](number);
}

function showList() {
  items.forEach((_, number) => showItem(number));
  show("none", items.every(({ line }) => line.hidden));
}
