// Polls /v1/overview every five seconds and draws the table. Everything from outside goes in as text, never as markup.
"use strict";

const number = (value, digits) => value === undefined || value === null ? "" : Number(value).toFixed(digits);

function duration(seconds) {
  if (seconds === undefined || seconds === null) return "";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function fetching(f) {
  const mib = (bytes) => Math.floor((bytes || 0) / 1048576);
  const size = f.bytesTotal === undefined ? `${mib(f.bytesDone)} MiB` : `${mib(f.bytesDone)} / ${mib(f.bytesTotal)} MiB`;
  return `fetching ${size}, ${f.filesDone || 0} / ${f.filesTotal || 0} files`;
}

function done(row) {
  const p = row.progress || {};
  if (p.step !== undefined) return p.steps ? `${p.step} / ${p.steps}` : `${p.step}`;
  if (p.fetch) return fetching(p.fetch);
  if (row.kind === "Dataset" && row.phase === "Complete" && row.samples !== undefined) return `${row.samples} samples`;
  const unit = row.kind === "Dataset" ? "shards" : "rows";
  if (p.done !== undefined) return p.total ? `${p.done} / ${p.total} ${unit}` : `${p.done} ${unit}`;
  return row.samples === undefined ? "" : `${row.samples} samples`;
}

const score = (s) => `${s.benchmark} ${s.protocol || ""} ${number(100 * s.value, 1)} %`
  + (s.chance === undefined ? "" : ` (chance ${number(100 * s.chance, 0)} %)`);

function line(row) {
  const p = row.progress || {};
  // Until an attempt reports, the figures are those of the one before: its step and loss still stand, its speed does not.
  const running = row.phase === "Running" && (p.attempt === undefined || p.attempt === row.attempts);
  const cells = [
    [row.kind], [row.namespace], [row.name], [row.phase, `phase ${row.phase}`],
    [done(row), "number"], [number(p.loss, 4), "number"],
    [running ? number(p.tokensPerSecond, 0) : "", "number"], [running ? duration(p.etaSeconds) : "", "number"],
    [row.checkpoint === undefined ? "" : `step ${row.checkpoint}`, "number"], [row.attempts || "", "number"],
    [(row.scores || []).map(score).join("\n")], [row.message || "", "message"],
  ];
  const tr = document.createElement("tr");
  for (const [text, style] of cells) {
    const td = document.createElement("td");
    td.textContent = text;
    td.style.whiteSpace = String(text).includes("\n") ? "pre-line" : "";
    if (style) td.className = style;
    tr.append(td);
  }
  return tr;
}

async function draw() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch("v1/overview", { signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const rows = await answer.json();
    document.getElementById("rows").replaceChildren(...rows.map(line));
    state.textContent = rows.length ? `${rows.length} resources, ${new Date().toLocaleTimeString()}` : "No resources yet.";
  } catch (error) {
    state.textContent = `No answer from the operator (${error.message}); trying again.`;
  } finally {
    setTimeout(draw, 5000);
  }
}

draw();
