// Sorting, filtering, turning pages and saving of the tables; copying of commands. Nothing else needs it.
"use strict";

const number = (text) => {
  const value = parseFloat(text.replace("−", "-").replace("<", "").replace(/\u202f/g, ""));
  return Number.isNaN(value) ? null : value;
};
const compareTexts = new Intl.Collator("en", { numeric: true }).compare;

function sheet(root) {
  const island = document.getElementById(root.id + "-data");
  const columns = JSON.parse(island.textContent);
  island.remove();
  const size = Number(root.dataset.page);
  const cells = (column, row) => column.values[column.codes ? column.codes[row] : row];
  const text = (column, row) => [cells(column, row)].flat()[0];
  const count = (columns[0].codes || columns[0].values).length;
  const all = Array.from({ length: count }, (_, row) => row);
  const shown = columns.filter((column) => !column.hidden);
  const heads = [...root.querySelectorAll("thead th")];
  const body = root.querySelector("tbody");
  const range = root.querySelector(".range");
  const turns = { back: root.querySelector(".back"), on: root.querySelector(".on") };
  const search = root.querySelector("input");
  const choices = [...root.querySelectorAll("select")];
  let rows = all, sorted = null, falling = false, start = 0, words = null;

  function show() {
    const part = rows.slice(start, start + size);
    body.replaceChildren(...part.map((row) => {
      const line = document.createElement("tr");
      for (const column of shown) {
        const [content, mark] = [cells(column, row)].flat();
        const cell = line.insertCell();
        cell.textContent = content;
        cell.className = mark ? column.kind + " " + mark : column.kind;
      }
      return line;
    }));
    const of = rows.length < count ? rows.length + " of " + count + " rows" : count + " rows";
    range.textContent = rows.length > size
      ? "rows " + (start + 1) + " to " + (start + part.length) + " of " + rows.length
      : of;
    if (turns.on) {
      turns.back.disabled = start === 0;
      turns.on.disabled = start + size >= rows.length;
    }
  }

  function order() {
    if (!sorted) return;
    const sign = falling ? -1 : 1;
    if (sorted.kind === "number") {
      const keys = new Map(rows.map((row) => [row, number(text(sorted, row))]));
      // What has no number stays last in both directions.
      rows.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        return x === null || y === null ? (x === null) - (y === null) : sign * (x - y);
      });
    } else {
      rows.sort((a, b) => sign * compareTexts(text(sorted, a), text(sorted, b)));
    }
  }

  function choose() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !words) {
      words = all.map((row) => columns.map((column) => text(column, row)).join(" ").toLowerCase());
    }
    const chosen = choices.filter((choice) => choice.value)
      .map((choice) => [columns[Number(choice.dataset.column)], choice.value]);
    rows = all.filter((row) => chosen.every(([column, value]) => text(column, row) === value)
      && wanted.every((word) => words[row].includes(word)));
    start = 0;
    order();
    show();
  }

  heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
    const column = shown[place];
    falling = sorted === column ? !falling : column.kind === "number";
    sorted = column;
    heads.forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    start = 0;
    order();
    show();
  }));
  search.addEventListener("input", choose);
  choices.forEach((choice) => choice.addEventListener("change", choose));
  if (turns.on) {
    turns.back.addEventListener("click", () => { start -= size; show(); });
    turns.on.addEventListener("click", () => { start += size; show(); });
  }
  root.querySelector(".save").addEventListener("click", () => {
    const quoted = (content) => (/[",\n]/.test(content) ? '"' + content.replace(/"/g, '""') + '"' : content);
    const lines = [columns.map((column) => quoted(column.title))];
    rows.forEach((row) => lines.push(columns.map((column) => quoted(text(column, row)))));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.join(",") + "\n").join("")]));
    link.download = root.id + ".csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  // A browser that goes back to the page fills in what was typed before.
  if (search.value || choices.some((choice) => choice.value)) choose();
}

function copying(button) {
  const source = button.parentElement.querySelector("pre");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "copied";
    } catch {
      // Some browsers refuse it to pages from disk: what is selected can be copied by hand.
      getSelection().selectAllChildren(source);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}

document.querySelectorAll(".sheet").forEach(sheet);
document.querySelectorAll("button.copy").forEach(copying);
