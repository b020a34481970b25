// Runs as an asynchronous script of WebDriver, in the page of pyodide.js itself. Its arguments: the paths of
// the page's other libraries, and who hears of the end.
const [others, done] = arguments;

const load = (path) =>
  new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${path} does not load`));
    document.head.append(script);
  });

const work = async () => {
  const base = location.href.replace(/[^/]*$/, "");
  for (const path of others) {
    // One that is no script of a page is compiled by nobody.
    await load(path).catch(() => {});
  }
  await load(location.href);
  const python = await loadPyodide({ indexURL: base });
  const list = await (await fetch(`${base}pyodide-lock.json`)).json();
  await python.loadPackage(Object.keys(list.packages));
  python.runPython(`
import importlib, itertools, json, math, random, time

for name in ("numpy", "gymnasium", "dataclasses", "typing", "copy", "collections", "functools"):
    try:
        importlib.import_module(name)
    except ImportError:
        pass

class Thing:
    def __init__(self, x):
        self.x = x
        self.seen = {}

    def move(self, by):
        self.x = (self.x + by) % 1000
        self.seen[self.x] = self.seen.get(self.x, 0) + 1
        return self.x

def work(rounds):
    things = [Thing(n) for n in range(20)]
    for n in range(rounds):
        moved = [thing.move(n % 7) for thing in things]
        total = sum(m * 0.5 for m in moved) + math.sqrt(n)
        said = json.dumps({"n": n, "total": total, "moved": moved})
        back = json.loads(said)
        assert back["n"] == n and f"{total:.3f}"
        for key, value in sorted(back.items(), key=lambda one: one[0]):
            isinstance(value, (int, float))
        random.random()

end = time.time() + 4
while time.time() < end:
    work(200)
`);
};

work().then(() => done(null), (error) => done(String(error)));
