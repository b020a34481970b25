// Tries in Pyodide whether Python packages can be imported. Called with a file that says
// { pyodide: FOLDER, list: FILE, wheels: [{ name, path, imports }] } and the file for the answer, { NAME: why not }.
// A package counts as importable if one of its modules is, since some carry others besides.
const fs = require("node:fs");
const path = require("node:path");

const [, , question, answer] = process.argv;
const asked = JSON.parse(fs.readFileSync(question, "utf8"));

async function main() {
  const folder = asked.pyodide + path.sep;
  const { loadPyodide } = require(path.join(folder, "pyodide.js"));
  const silent = () => {};
  const pyodide = await loadPyodide({
    indexURL: folder,
    lockFileURL: asked.list,
    stdout: silent,
    stderr: silent,
  });
  const site = pyodide.runPython("import site; site.getsitepackages()[0]");
  for (const wheel of asked.wheels) {
    pyodide.unpackArchive(new Uint8Array(fs.readFileSync(wheel.path)), "zip", { extractDir: site });
  }
  const failed = {};
  for (const { name, imports } of asked.wheels) {
    let reason = null;
    for (const module of imports) {
      try {
        await pyodide.runPythonAsync(`import importlib; importlib.import_module(${JSON.stringify(module)})`);
        reason = null;
        break;
      } catch (error) {
        // The last line of a traceback that is no advice of Pyodide's own.
        const lines = String(error.message).split("\n").filter((line) => /^\w+(\.\w+)*: /.test(line));
        reason = lines.pop() ?? String(error.message).trim();
      }
    }
    if (reason) failed[name] = reason;
  }
  fs.writeFileSync(answer, JSON.stringify(failed));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
