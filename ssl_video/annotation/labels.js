"use strict";
// The labels of clips: kept by the browser, undone, and saved as a table.

const REMEMBERED = 500; // changes that can be undone

class Labels {
  constructor(content) {
    this.content = content;
    this.column = content.columns.indexOf("label");
    this.given = content.rows.map((row) => row[this.column]);
    this.checking = this.given.some((label) => label !== "");
    this.kept = true; // the browser keeps labels
    this.forget();
    this.load();
  }

  forget() {
    this.decided = new Map(); // label by number of the clip; "": the label was removed
    this.skipped = new Set();
    this.history = []; // [number, label before or null, whether it was skipped]
    this.recent = []; // labels, the last one first
    this.current = 0;
    this.changes = 0;
    this.saved = 0; // value of `changes` when the table was saved
  }

  load() {
    try {
      const text = localStorage.getItem(this.content.key);
      if (text === null) return;
      const state = JSON.parse(text);
      this.decided = new Map(state.decided);
      this.skipped = new Set(state.skipped);
      Object.assign(this, {
        history: state.history, recent: state.recent, current: state.current, changes: state.changes, saved: state.saved,
      });
    } catch {
      this.forget();
    }
  }

  keep() {
    const { history, recent, current, changes, saved } = this;
    const state = { decided: [...this.decided], skipped: [...this.skipped], history, recent, current, changes, saved };
    try {
      localStorage.setItem(this.content.key, JSON.stringify(state));
      this.kept = true;
    } catch {
      // Refused in some private windows, or full.
      this.kept = false;
    }
  }

  get number() { return this.content.rows.length; }

  get unsaved() { return this.changes !== this.saved; }

  cell(number, column) { return this.content.rows[number][this.content.columns.indexOf(column)] || ""; }

  label(number) { return this.decided.has(number) ? this.decided.get(number) : this.given[number]; }

  done(number) { return this.decided.has(number); }

  open(number) { return !this.done(number) && !this.skipped.has(number); }

  // New classes are those of labels: one that is undone is gone.
  get classes() {
    const known = new Set(this.content.classes);
    const more = new Set([...this.given, ...this.decided.values()].filter((name) => name !== "" && !known.has(name)));
    return [...this.content.classes, ...more];
  }

  change(number, label, skip) {
    this.history.push([number, this.done(number) ? this.decided.get(number) : null, this.skipped.has(number)]);
    this.history = this.history.slice(-REMEMBERED);
    this.set(number, label, skip);
    if (label) this.recent = [label, ...this.recent.filter((name) => name !== label)].slice(0, 50);
  }

  set(number, label, skip) {
    if (label === null) this.decided.delete(number); else this.decided.set(number, label);
    if (skip) this.skipped.add(number); else this.skipped.delete(number);
    this.changes += 1;
  }

  // Returns the number of the clip that is as before.
  undo() {
    const [number, label, skip] = this.history.pop();
    this.set(number, label, skip);
    return number;
  }

  // The next clip without an answer, from one on and then from the first; if there is none, the next one that was
  // skipped; null: all others have an answer.
  after(number) {
    const others = Array.from({ length: this.number - 1 }, (_, step) => (number + 1 + step) % this.number);
    return others.find((other) => this.open(other)) ?? others.find((other) => this.skipped.has(other)) ?? null;
  }

  // A label that was taken from a clip is a word that says so: an empty one would mean that nobody looked.
  written(number) {
    return this.decided.get(number) === "" ? this.content.removed : this.label(number);
  }

  // As Python writes it (csv_cells.py): a cell that a spreadsheet would calculate has an apostrophe in front, a path
  // "./". Numbers stay.
  table() {
    const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|nan)$/;
    const marked = (text, path) => (
      path ? (/^(\.\/)*[=+\-@\t\r]/.test(text) ? "./" + text : text)
        : (/^'*[=+\-@\t\r]/.test(text) && !number.test(text) ? "'" + text : text)
    );
    const quoted = (text) => (/[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text);
    const rows = this.content.rows.map((row, number) => row.map((cell, place) => (
      place === this.column ? this.written(number) : cell
    )));
    const kept = rows.map((row) => row.map((cell, place) => marked(cell, this.content.columns[place] === "path")));
    return [this.content.columns, ...kept].map((row) => row.map(quoted).join(",") + "\n").join("");
  }
}

// Text as UTF-8. Python reads bytes of file names that are none as the surrogates U+DC80 to U+DCFF: they are these
// bytes again.
function bytes(text) {
  const encoder = new TextEncoder();
  return text.split(/([\udc80-\udcff])/u).map((part) => {
    const code = part.length === 1 ? part.charCodeAt(0) : 0;
    return code >= 0xdc80 && code <= 0xdcff ? Uint8Array.of(code - 0xdc00) : encoder.encode(part);
  });
}

function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(bytes(text), { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
