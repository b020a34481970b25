// The probe: the first script of every page. It keeps a ledger of what the page makes and shows,
// and tells it to the gateway. The protocol is described in mod.rs beside this file.
//
// It must work on any page and break none: everything that it needs from the browser is taken
// here, before a script of the page can change it, and nothing of its own may throw into the page.
(() => {
  "use strict";

  // One page has one probe: neither what it gets and puts into itself has another, nor a frame of it.
  const MARK = Symbol.for("gymcheck-probe");
  if (window.top !== window || window[MARK]) {
    document.currentScript?.remove();
    return;
  }
  Object.defineProperty(window, MARK, { value: true });

  const config = /*GYMCHECK_CONFIG*/{};

  // The name that the last line of this file gives to it in stack traces.
  const SOURCE = "gymcheck-probe.js";

  // ---- The browser as it is before any script of the page -------------------------------------

  const { apply, construct, defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
  const { stringify, parse } = JSON;
  const {
    DOMParser: NativeDOMParser,
    Element,
    ErrorEvent,
    HTMLLinkElement,
    HTMLStyleElement,
    Error: NativeError,
    MessageChannel: NativeMessageChannel,
    MutationObserver: NativeMutationObserver,
    PerformanceObserver: NativePerformanceObserver,
    Proxy: NativeProxy,
    Uint8Array: NativeUint8Array,
    WebSocket: NativeWebSocket,
  } = window;
  const now = performance.now.bind(performance);
  const nativeTimeout = setTimeout.bind(window);
  const styleOf = getComputedStyle.bind(window);

  // A method of a prototype as a plain function of the object.
  const method = (prototype, name) => {
    const native = prototype[name];
    return (self, ...args) => apply(native, self, args);
  };
  // A property of a prototype likewise: forms have inputs by the names of properties.
  const property = (prototype, name) => {
    const { get } = getOwnPropertyDescriptor(prototype, name);
    return (self) => apply(get, self, []);
  };
  const childrenOf = property(Node.prototype, "childNodes");
  const textOf = property(Node.prototype, "textContent");
  const listenTo = method(EventTarget.prototype, "addEventListener");
  const sendOn = method(NativeWebSocket.prototype, "send");
  const boxOf = method(Element.prototype, "getBoundingClientRect");
  const boxesOf = method(Element.prototype, "getClientRects");
  const attributeOf = method(Element.prototype, "getAttribute");
  const closestTo = method(Element.prototype, "closest");
  const isVisible = method(Element.prototype, "checkVisibility");
  const matches = method(Element.prototype, "matches");
  const scrollElement = method(Element.prototype, "scrollTo");
  const scrollToElement = method(Element.prototype, "scrollIntoView");
  const rootOf = method(Node.prototype, "getRootNode");
  const findersByNodeType = {
    1: method(Element.prototype, "querySelectorAll"),
    9: method(Document.prototype, "querySelectorAll"),
    11: method(DocumentFragment.prototype, "querySelectorAll"),
  };
  const findAll = (root, selector) => findersByNodeType[root.nodeType](root, selector);
  const hitInDocument = method(Document.prototype, "elementFromPoint");
  const hitInShadow = method(ShadowRoot.prototype, "elementFromPoint");

  // ---- The way to the gateway ------------------------------------------------------------------

  const OUTBOX_LIMIT = 10_000;
  const CONNECT_ATTEMPTS = 7;
  const FIRST_RETRY_MS = 100;

  const rounded = (value) => Math.round(value * 1000) / 1000;

  const link = {
    socket: null,
    // What makes the run's clock of the page's; known once the gateway has said it.
    offset: 0,
    // Whether events can be sent: the socket is open and the clock is known.
    ready: false,
    attempts: 0,
    outbox: [],
    lost: 0,
  };

  const runClock = (pageTime) => rounded(pageTime + link.offset);

  function connect() {
    if (!config.path || link.attempts >= CONNECT_ATTEMPTS) {
      return;
    }
    link.attempts += 1;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const token = encodeURIComponent(config.token);
    const socket = new NativeWebSocket(`${scheme}//${location.host}${config.path}?token=${token}`);
    link.socket = socket;
    on(socket, "message", (event) => hear(parse(event.data)));
    on(socket, "close", () => {
      link.ready = false;
      const pause = FIRST_RETRY_MS * 2 ** (link.attempts - 1);
      nativeTimeout(() => attempt("connect", connect), pause);
    });
  }

  function hear(message) {
    if (message.clock) {
      write({ now: now() });
    } else if (typeof message.offset === "number") {
      link.offset = message.offset;
      link.ready = true;
      link.attempts = 0;
      emptyOutbox();
    } else {
      answer(message);
    }
  }

  const write = (message) => sendOn(link.socket, stringify(message));

  const tell = (event, fields) => pass({ at: now(), event, fields });

  function pass(entry) {
    if (link.ready && link.socket.readyState === 1) {
      const { at, event, fields } = entry;
      write({ page_t: runClock(at), event, ...fields });
    } else {
      keep(entry);
    }
  }

  function keep(entry) {
    link.outbox.push(entry);
    if (link.outbox.length > OUTBOX_LIMIT) {
      // The first one says that the page is there: it stays.
      link.outbox.splice(1, 1);
      link.lost += 1;
    }
  }

  function emptyOutbox() {
    const entries = link.outbox;
    link.outbox = [];
    entries.forEach(pass);
    if (link.lost > 0) {
      const lost = link.lost;
      link.lost = 0;
      trouble("outbox", `${lost} events were lost: the buffer was full before the gateway answered`);
    }
  }

  // The probe's own trouble, told as a line of the console with a level of its own.
  function trouble(where, what) {
    try {
      tell("console", { level: "probe", text: cut(`${where}: ${what}`, TEXT_LIMIT) });
    } catch {
      // There is nobody left to tell.
    }
  }

  function attempt(where, act) {
    try {
      return act();
    } catch (error) {
      trouble(where, error);
      return undefined;
    }
  }

  const on = (target, kind, act, capture = false) =>
    listenTo(target, kind, (event) => attempt(kind, () => act(event)), capture);

  // ---- Words for what was found ----------------------------------------------------------------

  const TEXT_LIMIT = 500;
  const STACK_LIMIT = 4000;
  const STACK_FRAMES = 30;
  const PATH_STEPS = 5;

  const cut = (text, limit) => (text.length > limit ? `${text.slice(0, limit - 1)}…` : text);
  const collapsed = (text) => text.replace(/\s+/g, " ").trim();

  // Where the page is right now. Its text is made by `stackText` when it is asked for: most
  // timers end before anybody asks.
  function here() {
    const limit = NativeError.stackTraceLimit;
    if (typeof limit !== "number") {
      return new NativeError();
    }
    NativeError.stackTraceLimit = STACK_FRAMES;
    const place = new NativeError();
    NativeError.stackTraceLimit = limit;
    return place;
  }

  // The page's frames of a stack: the probe's own, by the name of its script, are left out.
  const stackText = (error) =>
    cut(
      String(error.stack)
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line && line !== "Error" && !line.includes(SOURCE))
        .join("\n"),
      STACK_LIMIT,
    );

  // An id, also of a form that has an input called "id".
  const idOf = (element) => attributeOf(element, "id") || "";

  // An element in a few words: `input#scale_0`, or the path to it from the nearest id.
  function label(element, steps = PATH_STEPS) {
    if (idOf(element)) {
      return `${element.localName}#${idOf(element)}`;
    }
    const parent = element.parentNode;
    const own = step(element);
    if (!parent || element === document.body || element === document.documentElement) {
      return own;
    }
    if (parent.nodeType !== 1) {
      return parent.host ? `${label(parent.host, steps - 1)} >>> ${own}` : own;
    }
    return parent === document.body || steps <= 1 ? own : `${label(parent, steps - 1)} > ${own}`;
  }

  function step(element) {
    const [first] = (attributeOf(element, "class") || "").trim().split(/\s+/);
    const name = first ? `${element.localName}.${first}` : element.localName;
    const alike = [...(element.parentNode?.children ?? [])].filter(
      (other) => other.localName === element.localName,
    );
    return alike.length > 1 ? `${name}:nth-of-type(${alike.indexOf(element) + 1})` : name;
  }

  const plain = (value) => [Object.prototype, Array.prototype, null].includes(getPrototypeOf(value));

  // A value of the page as text. Only plain data is looked into, and not far: whatever else it
  // is may answer with code of the page.
  function describe(value) {
    if (typeof value === "string") {
      return value;
    }
    if (value instanceof NativeError) {
      return `${value.name}: ${value.message}`;
    }
    if (value instanceof Element) {
      return label(value);
    }
    if (value === null || (typeof value !== "object" && typeof value !== "function")) {
      return String(value);
    }
    const tag = apply(Object.prototype.toString, value, []);
    if (!plain(value)) {
      return tag;
    }
    let budget = TEXT_LIMIT;
    const bounded = (_, inner) => {
      budget -= 1;
      if (budget < 0) {
        throw new NativeError("too large to be told");
      }
      return inner !== null && typeof inner === "object" && !plain(inner) ? describe(inner) : inner;
    };
    try {
      return stringify(value, bounded);
    } catch {
      return tag;
    }
  }

  // ---- Putting oneself in front of what the browser offers -------------------------------------

  function replace(owner, name, value) {
    const descriptor = getOwnPropertyDescriptor(owner, name);
    if (!descriptor || !defineProperty(owner, name, { ...descriptor, value })) {
      throw new NativeError(`${name} cannot be watched`);
    }
  }

  // Every object that `new name(…)` makes is shown to `made` before the page has it. The
  // constructor stays what it is to the page: `instanceof`, statics, subclasses, `prototype`.
  function watchConstructor(name, made) {
    const native = window[name];
    if (typeof native !== "function") {
      return null;
    }
    const watched = new NativeProxy(native, {
      construct(target, args, newTarget) {
        const object = construct(target, args, newTarget === watched ? target : newTarget);
        attempt(name, () => made(object));
        return object;
      },
    });
    replace(window, name, watched);
    replace(native.prototype, "constructor", watched);
    return watched;
  }

  // Every call of a method goes through `around(self, args, proceed)`, which returns what
  // `proceed()` returns.
  function watchMethod(owner, name, around) {
    const native = owner[name];
    if (typeof native !== "function") {
      return;
    }
    const watched = new NativeProxy(native, {
      apply: (target, self, args) =>
        around(self, args, (changed = args) => apply(target, self, changed)),
    });
    replace(owner, name, watched);
  }

  // ---- Peer connections ------------------------------------------------------------------------

  const connections = [];
  const connectionOf = new WeakMap();

  function watchConnections() {
    const watched = watchConstructor("RTCPeerConnection", addConnection);
    if (!watched) {
      return;
    }
    if ("webkitRTCPeerConnection" in window) {
      replace(window, "webkitRTCPeerConnection", watched);
    }
    const { prototype } = watched;
    watchMethod(prototype, "close", closeConnection);
    watchMethod(prototype, "createDataChannel", (self, _, proceed) => {
      const channel = proceed();
      attempt("createDataChannel", () => addChannel(channel, connectionOf.get(self), false));
      return channel;
    });
    watchMethod(RTCDataChannel.prototype, "close", closeChannel);
    watchMethod(RTCDataChannel.prototype, "send", sendOnChannel);
  }

  function addConnection(pc) {
    const record = {
      id: connections.length + 1,
      pc,
      created: now(),
      stack: stackText(here()),
      wasConnected: false,
      closed: null,
      candidates: 0,
      told: "",
    };
    connections.push(record);
    connectionOf.set(pc, record);
    tell("connection_created", { id: record.id, stack: record.stack });
    for (const kind of ["connection", "iceconnection", "icegathering", "signaling"]) {
      on(pc, `${kind}statechange`, () => tellConnection(record, false));
    }
    on(pc, "icecandidate", (event) => addCandidate(record, event.candidate));
    on(pc, "datachannel", (event) => addChannel(event.channel, record, true));
  }

  function tellConnection(record, always) {
    const { pc } = record;
    const states = {
      connection: pc.connectionState,
      ice: pc.iceConnectionState,
      gathering: pc.iceGatheringState,
      signaling: pc.signalingState,
    };
    record.wasConnected ||= states.connection === "connected";
    const told = stringify(states);
    if (always || told !== record.told) {
      record.told = told;
      tell("connection_state", { id: record.id, ...states });
    }
  }

  function addCandidate(record, candidate) {
    if (candidate === null) {
      tell("ice_candidate", { id: record.id, candidate: null });
    } else if (candidate.candidate !== "") {
      // An empty line ends one generation of candidates only: it is no candidate.
      record.candidates += 1;
      tell("ice_candidate", { id: record.id, candidate: candidate.candidate });
    }
  }

  function closeConnection(self, _, proceed) {
    const record = connectionOf.get(self);
    if (!record) {
      return proceed();
    }
    attempt("close", () => {
      record.closed ??= now();
      tell("connection_closed", { id: record.id, stack: stackText(here()) });
    });
    const result = proceed();
    attempt("close", () => {
      // Neither the connection nor its channels fire an event for this.
      tellConnection(record, true);
      channels.filter((channel) => channel.connection === record).forEach(tellChannel);
    });
    return result;
  }

  // ---- Data channels ---------------------------------------------------------------------------

  const TRAFFIC_MS = 100;

  const channels = [];
  const channelOf = new WeakMap();

  function addChannel(channel, connection, remote) {
    if (!connection || channelOf.has(channel)) {
      return;
    }
    const record = {
      id: channels.length + 1,
      channel,
      connection,
      label: channel.label,
      state: "connecting",
      sent: 0,
      sentBytes: 0,
      sentInputs: 0,
      received: 0,
      receivedBytes: 0,
      receivedInputs: 0,
      untold: false,
      timer: false,
      toldAt: 0,
    };
    channels.push(record);
    channelOf.set(channel, record);
    const { id, label: name } = record;
    tell("channel_created", { id, connection: connection.id, label: name, remote });
    tellChannel(record);
    for (const kind of ["open", "closing", "close"]) {
      on(channel, kind, () => tellChannel(record));
    }
    on(channel, "message", (event) => {
      record.received += 1;
      record.receivedBytes += sizeOf(event.data);
      record.receivedInputs += isInput(event.data) ? 1 : 0;
      noteTraffic(record, record.received === 1);
    });
  }

  function tellChannel(record) {
    const state = record.channel.readyState;
    if (state !== record.state) {
      record.state = state;
      tell("channel_state", { id: record.id, state });
    }
  }

  function closeChannel(self, _, proceed) {
    const record = channelOf.get(self);
    if (!record) {
      return proceed();
    }
    attempt("close", () =>
      tell("channel_closed", { id: record.id, stack: stackText(here()) }),
    );
    const result = proceed();
    attempt("close", () => tellChannel(record));
    return result;
  }

  function sendOnChannel(self, args, proceed) {
    // Before the call: the page may give its buffer away afterwards.
    const size = attempt("send", () => sizeOf(args[0]));
    const inputs = attempt("send", () => isInput(args[0])) ? 1 : 0;
    const result = proceed();
    const record = channelOf.get(self);
    if (record) {
      attempt("send", () => {
        record.sent += 1;
        record.sentBytes += size;
        record.sentInputs += inputs;
        noteTraffic(record, record.sent === 1);
      });
    }
    return result;
  }

  // Whether a message is a player's inputs: the client's messages are binary, and their first byte says what
  // they are.
  const INPUT = 1;

  function isInput(data) {
    if (!data?.byteLength) {
      return false;
    }
    const bytes = data.buffer
      ? new NativeUint8Array(data.buffer, data.byteOffset, 1)
      : new NativeUint8Array(data, 0, 1);
    return bytes[0] === INPUT;
  }

  // The size in bytes of a message: a string, a Blob, an ArrayBuffer or a view of one.
  function sizeOf(data) {
    if (typeof data === "string") {
      return utf8Length(data);
    }
    return data?.byteLength ?? data?.size ?? 0;
  }

  function utf8Length(text) {
    let length = text.length;
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      // Half of a pair counts one more than its unit; the pair is four bytes in two units.
      if (unit > 0x7ff && !(unit >= 0xd800 && unit < 0xe000)) {
        length += 2;
      } else if (unit > 0x7f) {
        length += 1;
      }
    }
    return length;
  }

  function noteTraffic(record, atOnce) {
    record.untold = true;
    if (atOnce) {
      tellTraffic(record);
    } else if (!record.timer) {
      record.timer = true;
      nativeTimeout(
        () => {
          record.timer = false;
          attempt("traffic", () => tellTraffic(record));
        },
        Math.max(0, record.toldAt + TRAFFIC_MS - now()),
      );
    }
  }

  function tellTraffic(record) {
    if (!record.untold) {
      return;
    }
    record.untold = false;
    record.toldAt = now();
    tell("channel_traffic", { id: record.id, ...totals(record) });
    attempt("game", tellProgress);
  }

  let progressTold = "";

  // Second opinion: how far the client's own game is.
  function tellProgress() {
    const own = window.game;
    const progress = { episodes: own?.num_episodes, frame: own?.frameNumber };
    if (!isCount(progress.episodes) || !isCount(progress.frame)) {
      return;
    }
    const told = stringify(progress);
    if (told !== progressTold) {
      progressTold = told;
      tell("game_progress", progress);
    }
  }

  const isCount = (value) => typeof value === "number" && value >= 0 && value % 1 === 0;

  const totals = (record) => ({
    sent: record.sent,
    sent_bytes: record.sentBytes,
    sent_inputs: record.sentInputs,
    received: record.received,
    received_bytes: record.receivedBytes,
    received_inputs: record.receivedInputs,
  });

  // ---- Workers ---------------------------------------------------------------------------------

  const workers = [];
  const workerOf = new WeakMap();

  function watchWorkers() {
    const watched = watchConstructor("Worker", (worker) => {
      const id = workers.length + 1;
      const record = { id, created: now(), terminated: null, stack: stackText(here()) };
      // The worker itself is not kept: the page may let go of it.
      workers.push(record);
      workerOf.set(worker, record);
      tell("worker_created", { id, stack: record.stack });
    });
    if (!watched) {
      return;
    }
    watchMethod(watched.prototype, "terminate", (self, _, proceed) => {
      const result = proceed();
      const record = workerOf.get(self);
      if (record) {
        record.terminated ??= now();
        attempt("terminate", () => tell("worker_terminated", { id: record.id }));
      }
      return result;
    });
  }

  // ---- The Python runtime ------------------------------------------------------------------------

  // What of it the page loads, also from the browser's cache, where no request tells of it.
  const OF_THE_RUNTIME = /\.(wasm|whl)$|\/(pyodide\.m?js|python_stdlib\.zip)$/;

  function watchRuntime() {
    const loaded = (list) => {
      for (const { name } of list.getEntries()) {
        const url = name.split(/[?#]/, 1)[0];
        if (OF_THE_RUNTIME.test(url)) {
          tell("runtime_loaded", { url });
        }
      }
    };
    const observer = new NativePerformanceObserver((list) =>
      attempt("runtime", () => loaded(list)),
    );
    observer.observe({ type: "resource", buffered: true });
  }

  // ---- Timers ----------------------------------------------------------------------------------

  // Live intervals and timeouts by handle. They share their handles, and either of
  // `clearInterval` and `clearTimeout` ends either of them.
  const timers = new Map();
  // Callbacks that wait for the next frame, by handle.
  const frames = new Map();

  function watchTimers() {
    watchMethod(window, "setInterval", (self, args, proceed) => {
      const id = proceed();
      attempt("setInterval", () => {
        if (isOurs(self)) {
          const record = addTimer(id, "interval", args[1]);
          tell("interval_created", { id, period: record.period, stack: stackText(record.place) });
        }
      });
      return id;
    });
    watchMethod(window, "setTimeout", setTimeoutWatched);
    for (const name of ["clearInterval", "clearTimeout"]) {
      watchMethod(window, name, (_, args, proceed) => {
        attempt(name, () => dropTimer(args[0]));
        return proceed();
      });
    }
    // Chromium knows both by a second name.
    for (const name of ["requestAnimationFrame", "webkitRequestAnimationFrame"]) {
      watchMethod(window, name, requestFrameWatched);
    }
    for (const name of ["cancelAnimationFrame", "webkitCancelAnimationFrame"]) {
      watchMethod(window, name, (self, args, proceed) => {
        attempt(name, () => isOurs(self) && frames.delete(handleOf(args[0])));
        return proceed();
      });
    }
  }

  function setTimeoutWatched(self, args, proceed) {
    if (!isOurs(self)) {
      return proceed();
    }
    const [handler, delay, ...rest] = args;
    let id;
    if (typeof handler === "function") {
      id = proceed([firing(handler, timers, () => id), delay, ...rest]);
    } else {
      id = proceed();
      // Code in a string is the browser's to run. Timers of equal delay fire in order: this one
      // right after it.
      nativeTimeout(() => timers.delete(id), periodOf(delay));
    }
    attempt("setTimeout", () => addTimer(id, "timeout", delay));
    return id;
  }

  function requestFrameWatched(self, args, proceed) {
    const [handler] = args;
    if (!isOurs(self) || typeof handler !== "function") {
      return proceed();
    }
    const id = proceed([firing(handler, frames, () => id)]);
    attempt("requestAnimationFrame", () => {
      frames.set(id, chained({ id, created: now(), place: here() }));
    });
    return id;
  }

  // The timeout or the callback for a frame whose turn it is.
  let turn = null;

  // A handler whose record goes as its turn comes; what is asked for in its turn goes on with its chain.
  function firing(handler, records, handle) {
    return function (...given) {
      const before = turn;
      turn = records.get(handle()) ?? null;
      records.delete(handle());
      try {
        return apply(handler, this, given);
      } finally {
        turn = before;
      }
    };
  }

  // Of a chain so many places are known: a loop comes back to one of them.
  const LINKS = 16;

  // Since when a place of the page's code asks anew, each time in a turn that follows from its last one.
  function chained(record) {
    record.since = record.created;
    if (turn) {
      turn.chain ??= new Map([[placeOf(turn), turn.since]]);
      record.chain = turn.chain;
      const place = placeOf(record);
      const since = record.chain.get(place);
      if (since !== undefined) {
        record.since = since;
      } else if (record.chain.size < LINKS) {
        record.chain.set(place, record.created);
      }
    }
    return record;
  }

  const placeOf = (record) => (record.link ??= stackText(record.place).split("\n", 1)[0]);

  // Whether a call is for this window and not for another frame's.
  const isOurs = (self) => self === undefined || self === null || self === window;

  function addTimer(id, kind, delay) {
    const record = chained({ id, kind, created: now(), period: periodOf(delay), place: here() });
    timers.set(id, record);
    return record;
  }

  // A delay as the browser reads it; objects are left alone, since reading them runs code.
  function periodOf(delay) {
    const period = typeof delay === "string" ? Number(delay) : delay;
    return typeof period === "number" && period > 0 && period < Infinity ? period : 0;
  }

  const handleOf = (handle) => (typeof handle === "string" ? Number(handle) : handle);

  function dropTimer(handle) {
    const id = handleOf(handle);
    const record = timers.get(id);
    timers.delete(id);
    if (record?.kind === "interval") {
      tell("interval_cleared", { id });
    }
  }

  // ---- WebSockets ------------------------------------------------------------------------------

  const SOCKET_STATES = ["connecting", "open", "closing", "closed"];

  const sockets = [];
  const socketOf = new WeakMap();

  function watchSockets() {
    watchConstructor("WebSocket", (socket) => {
      const record = { id: sockets.length + 1, socket, received: 0, sent: 0 };
      sockets.push(record);
      socketOf.set(socket, record);
      tellSocket(record);
      on(socket, "open", () => tellSocket(record));
      on(socket, "close", () => tellSocket(record));
      // Registered before the page has the socket, so that it runs before the page's listeners.
      on(socket, "message", () => {
        record.received += 1;
      });
    });
    watchMethod(NativeWebSocket.prototype, "send", (self, _, proceed) => {
      // A socket that is about to close takes what it is given, and sends nothing.
      const record = self.readyState === NativeWebSocket.OPEN ? socketOf.get(self) : undefined;
      const result = proceed();
      if (record) {
        record.sent += 1;
      }
      return result;
    });
  }

  const socketState = ({ id, socket }) => ({
    id,
    url: socket.url,
    state: SOCKET_STATES[socket.readyState],
  });

  const tellSocket = (record) => tell("websocket_state", socketState(record));

  const socketStates = () =>
    sockets.map((record) => ({
      ...socketState(record),
      received: record.received,
      sent: record.sent,
    }));

  // ---- Listeners of the document and of the window ---------------------------------------------

  // Live listeners by kind of event: those that also hear it on its way down, and the others. The
  // same function is registered once for each.
  const registered = new Map([
    [document, { name: "document", kinds: new Map() }],
    [window, { name: "window", kinds: new Map() }],
  ]);

  function watchListeners() {
    const { prototype } = EventTarget;
    watchMethod(prototype, "addEventListener", (self, args, proceed) => {
      const result = proceed();
      attempt("addEventListener", () => addListener(self ?? window, args));
      return result;
    });
    watchMethod(prototype, "removeEventListener", (self, args, proceed) => {
      const result = proceed();
      attempt("removeEventListener", () => dropListener(self ?? window, args));
      return result;
    });
  }

  const isObject = (value) =>
    value !== null && (typeof value === "object" || typeof value === "function");

  const isCapture = (options) => Boolean(isObject(options) ? options.capture : options);

  function addListener(target, [kind, callback, options]) {
    const own = registered.get(target);
    // One that is heard once ends by itself, and one of a signal that is over never begins.
    if (!own || !isObject(callback) || options?.once || options?.signal?.aborted) {
      return;
    }
    const name = String(kind);
    if (!own.kinds.has(name)) {
      own.kinds.set(name, { down: new Set(), up: new Set() });
    }
    const capture = isCapture(options);
    own.kinds.get(name)[capture ? "down" : "up"].add(callback);
    if (options?.signal) {
      on(options.signal, "abort", () => dropListener(target, [name, callback, capture]));
    }
  }

  function dropListener(target, [kind, callback, options]) {
    const callbacks = registered.get(target)?.kinds.get(String(kind));
    callbacks?.[isCapture(options) ? "down" : "up"].delete(callback);
  }

  function documentListeners() {
    const counts = {};
    for (const { name, kinds } of registered.values()) {
      for (const [kind, { down, up }] of kinds) {
        if (down.size + up.size > 0) {
          counts[`${name} ${kind}`] = down.size + up.size;
        }
      }
    }
    return counts;
  }

  // ---- Errors, console, visibility -------------------------------------------------------------

  let errors = 0;

  function watchErrors() {
    on(window, "error", tellError, true);
    on(window, "unhandledrejection", tellRejection, true);
  }

  function tellError(event) {
    // A picture or a script that did not load passes here as well: that is no error of code.
    if (!(event instanceof ErrorEvent)) {
      return;
    }
    errors += 1;
    const place = `${event.filename}:${event.lineno}:${event.colno}`;
    tell("error", {
      message: cut(String(event.message), TEXT_LIMIT),
      stack: stackOfThrown(event.error) || place,
    });
  }

  function tellRejection({ reason }) {
    errors += 1;
    tell("rejection", {
      message: cut(attempt("rejection", () => describe(reason)) ?? "", TEXT_LIMIT),
      stack: stackOfThrown(reason),
    });
  }

  // Anything can be thrown, also what has no stack.
  const stackOfThrown = (thrown) =>
    attempt("stack", () => (thrown?.stack ? stackText(thrown) : "")) ?? "";

  function watchConsole() {
    let busy = false;
    for (const level of ["log", "info", "warn", "error", "debug"]) {
      watchMethod(console, level, (_, args, proceed) => {
        // Describing a value may run code of the page, which may write to the console.
        if (!busy) {
          busy = true;
          attempt("console", () =>
            tell("console", { level, text: cut(args.map(describe).join(" "), TEXT_LIMIT) }),
          );
          busy = false;
        }
        return proceed();
      });
    }
  }

  function watchPage() {
    on(document, "visibilitychange", () =>
      tell("visibility", { state: document.visibilityState }),
    );
    // Elements get and lose the focus as well: that does not reach the window but by capturing.
    on(window, "focus", () => tell("focus", { focused: true }));
    on(window, "blur", () => tell("focus", { focused: false }));
    const leave = () => {
      channels.forEach(tellTraffic);
      tell("bye", {});
    };
    on(window, "pagehide", leave, true);
  }

  // ---- Overlays --------------------------------------------------------------------------------

  // The elements that the client uses to cover or to stop the scene.
  const KNOWN_OVERLAYS = new Set([
    "partnerDisconnectedContainer",
    "partnerExcludedOverlay",
    "monitorExclusionOverlay",
    "monitorWarningBanner",
    "focusLossContainer",
    "reconnect-overlay",
    "waiting-partner-overlay",
  ]);
  const NORMAL_PLAY = "episodeTransitionOverlay";
  const GAME = "#gameContainer";
  const COVERING = 0.4;
  const FAINTEST = 0.01;
  const OVERLAY_TEXT = 300;
  // Children of body that show nothing by themselves.
  const UNSEEN = new Set(["script", "style", "link", "template", "noscript", "meta"]);
  // Ids, classes and what a page calls its own states may show any descendant, these others the element
  // alone (and what is positioned inside of it, which is known by then).
  const DEEP_ATTRIBUTES = /^(class|id|data-.*|aria-.*)$/;
  const SHALLOW_ATTRIBUTES = new Set(["style", "hidden", "open", "popover"]);
  const OBSERVED = { subtree: true, childList: true, attributes: true };
  const CHANGING = [
    "toggle",
    "transitionrun",
    "transitionend",
    "transitioncancel",
    "animationstart",
    "animationend",
    "animationcancel",
  ];

  // Every overlay ever seen.
  const overlays = new Map();
  // Elements out of the flow outside of the game: whatever changes may show one of them.
  const positioned = new Set();
  // Shadow roots by host, the closed ones included.
  const shadows = new WeakMap();
  // Children of body that were shown once: whether they are now, and since which look.
  const shownChildren = new WeakMap();
  // Children of body that are shown while everything that was shown before them is hidden.
  let hiders = new Set();
  let looks = 1;

  const observer = new NativeMutationObserver((records) =>
    attempt("mutations", () => lookAtChanges(records)),
  );

  function watchOverlays() {
    watchMethod(Element.prototype, "attachShadow", (self, _, proceed) => {
      const root = proceed();
      attempt("attachShadow", () => watchShadow(self, root));
      return root;
    });
    watchRoot(document);
    // A style sheet that arrives changes what anything looks like; so does the window's size.
    on(document, "load", lookAtLoaded, true);
    on(document, "DOMContentLoaded", lookAtAll);
    on(window, "load", lookAtAll);
    on(window, "resize", lookAtAll);
  }

  function lookAtLoaded({ target }) {
    if (target instanceof HTMLLinkElement || target instanceof HTMLStyleElement) {
      lookAtAll();
    }
  }

  function watchRoot(root) {
    observer.observe(root, OBSERVED);
    // Not all of these leave a shadow tree.
    for (const kind of CHANGING) {
      on(root, kind, ({ target }) => lookAt(target instanceof Element ? [target] : []), true);
    }
  }

  function watchShadow(host, root) {
    shadows.set(host, root);
    watchRoot(root);
  }

  // The shadow root of an element. One that the parser made, with no call to attachShadow, is
  // watched from here on.
  function shadowOf(element) {
    const known = shadows.get(element);
    if (known || !element.shadowRoot) {
      return known;
    }
    watchShadow(element, element.shadowRoot);
    return element.shadowRoot;
  }

  // A tree with all of its shadow trees, in document order.
  function* everyElement(root) {
    if (root.nodeType === 1) {
      yield root;
      const shadow = shadowOf(root);
      if (shadow) {
        yield* everyElement(shadow);
      }
    }
    for (const element of findAll(root, "*")) {
      yield element;
      const shadow = shadowOf(element);
      if (shadow) {
        yield* everyElement(shadow);
      }
    }
  }

  // What an element is drawn in: its parent, its slot, or the host of its shadow tree.
  function parentOf(element) {
    const parent = element.assignedSlot ?? element.parentNode;
    return parent?.nodeType === 1 ? parent : (parent?.host ?? null);
  }

  function isWithin(element, container) {
    for (let at = element; at; at = parentOf(at)) {
      if (at === container) {
        return true;
      }
    }
    return false;
  }

  function isInGame(element) {
    for (let at = element; at; at = rootOf(at).host) {
      if (closestTo(at, GAME)) {
        return true;
      }
    }
    return false;
  }

  function lookAtChanges(records) {
    const touched = new Set();
    let changed = false;
    for (const record of records) {
      const note = record.type === "attributes" ? noteAttribute : noteChildren;
      changed = note(record, touched) || changed;
    }
    if (changed) {
      lookAt(touched);
    }
  }

  // Each says whether anything changed that could show an overlay. Text never does, and a game
  // changes text in every frame.
  function noteChildren({ addedNodes, removedNodes }, touched) {
    let changed = false;
    for (const node of addedNodes) {
      if (node.nodeType === 1) {
        changed = true;
        for (const element of everyElement(node)) {
          touched.add(element);
        }
      }
    }
    for (const node of removedNodes) {
      changed ||= node.nodeType === 1;
    }
    return changed;
  }

  function noteAttribute({ target, attributeName }, touched) {
    if (!DEEP_ATTRIBUTES.test(attributeName)) {
      if (!SHALLOW_ATTRIBUTES.has(attributeName)) {
        return false;
      }
      if (!KNOWN_OVERLAYS.has(idOf(target)) && isInGame(target)) {
        return false;
      }
      touched.add(target);
      return true;
    }
    for (const element of everyElement(target)) {
      touched.add(element);
    }
    return true;
  }

  const lookAtAll = () => lookAt(everyElement(document));

  function lookAt(touched) {
    lookAtBody();
    for (const element of new Set([...touched, ...hiders, ...positioned, ...overlays.keys()])) {
      attempt("overlay", () => examine(element));
    }
  }

  // Finds children of body that were shown later than everything that was shown and is no more,
  // while nothing else is left to see.
  function lookAtBody() {
    hiders = new Set();
    // What the document comes with is of one age, in however many pieces it arrives.
    looks += document.readyState === "loading" ? 0 : 1;
    const shown = [];
    let lastHidden = 0;
    for (const child of document.body?.children ?? []) {
      if (UNSEEN.has(child.localName) || idOf(child) === NORMAL_PLAY) {
        continue;
      }
      const before = shownChildren.get(child);
      if (styleOf(child).display !== "none") {
        const since = before?.shown ? before.since : looks;
        shownChildren.set(child, { shown: true, since });
        shown.push({ child, since });
      } else if (before) {
        before.shown = false;
        lastHidden = Math.max(lastHidden, before.since);
      }
    }
    const later = shown.filter(({ since }) => lastHidden > 0 && since > lastHidden);
    const seen = ({ child }) => hasBox(boxOf(child));
    if (later.length > 0 && !shown.some((entry) => !later.includes(entry) && seen(entry))) {
      hiders = new Set(later.filter(seen).map(({ child }) => child));
    }
  }

  const hasBox = (box) => box.width > 0 && box.height > 0;

  function examine(element) {
    const before = overlays.get(element);
    const found = assess(element, before);
    if (!found) {
      return;
    }
    const record = before ?? { id: overlays.size + 1, told: "" };
    Object.assign(record, found);
    overlays.set(element, record);
    const { reason, known, present, visible } = record;
    const told = stringify([reason, known, present, visible]);
    if (told !== record.told) {
      record.told = told;
      tell("overlay", overlayState(element, record));
    }
  }

  // What an element is as an overlay; null if it is none and never was.
  function assess(element, before) {
    const id = idOf(element);
    if (id === NORMAL_PLAY) {
      return null;
    }
    const known = KNOWN_OVERLAYS.has(id) ? id : (before?.known ?? null);
    if (!element.isConnected) {
      positioned.delete(element);
      const reason = known ? "known-id" : before?.reason;
      return reason ? { reason, known, present: false, visible: false, coverage: 0 } : null;
    }
    const style = styleOf(element);
    const canCover = isOutOfFlow(element, style);
    if (canCover) {
      positioned.add(element);
    } else {
      positioned.delete(element);
    }
    const hides = hiders.has(element);
    if (!canCover && !known && !hides && !before) {
      return null;
    }
    // Only now the layout is asked for.
    const seen = canBeMet(element, style);
    const box = seen ? boxOf(element) : null;
    const coverage = box ? coverageOf(element, box) : 0;
    const covers = canCover && coverage >= COVERING;
    const reason =
      (known && "known-id") || (covers && "covers-page") || (hides && "hides-page") || before?.reason;
    if (!reason) {
      return null;
    }
    const visible = known ? seen && hasBox(box) : covers || hides;
    return { reason, known, present: true, visible, coverage };
  }

  const isOutOfFlow = (element, { position }) =>
    (position === "fixed" || position === "absolute") &&
    element !== document.body &&
    element !== document.documentElement &&
    !isInGame(element);

  // Whether a user can see an element, or meets it with the pointer without seeing it.
  function canBeMet(element, style) {
    if (!isVisible(element, { visibilityProperty: true })) {
      return false;
    }
    return opacityOf(element) > FAINTEST || style.pointerEvents !== "none";
  }

  function opacityOf(element) {
    let opacity = 1;
    for (let at = element; at; at = parentOf(at)) {
      opacity *= Number(styleOf(at).opacity);
    }
    return opacity;
  }

  function coverageOf(element, box) {
    // A modal dialog stops the whole page, however small its own box.
    if (matches(element, ":modal")) {
      return 1;
    }
    const width = Math.min(box.right, innerWidth) - Math.max(box.left, 0);
    const height = Math.min(box.bottom, innerHeight) - Math.max(box.top, 0);
    const share = (Math.max(width, 0) * Math.max(height, 0)) / (innerWidth * innerHeight);
    return rounded(share || 0);
  }

  const overlayState = (element, { id, known, reason, present, visible, coverage }) => ({
    id,
    element: label(element),
    known,
    reason,
    present,
    visible,
    coverage,
    text: overlayText(element),
  });

  // `textContent` and not `innerText`: it needs no layout, and tells what a hidden one says, too.
  function overlayText(element) {
    const text = collapsed(element.textContent);
    return cut(text || collapsed(shadowOf(element)?.textContent ?? ""), OVERLAY_TEXT);
  }

  // ---- Hit-testing -----------------------------------------------------------------------------

  const CONTROLS =
    'button, input:not([type="hidden" i]), select, textarea, a[href], [role="button" i], canvas';

  function hitTest() {
    const controls = [];
    for (const element of everyElement(document)) {
      if (matches(element, CONTROLS)) {
        controls.push(testControl(element));
      }
    }
    return controls;
  }

  function testControl(element) {
    const report = { element: label(element), rendered: isRendered(element), on_top: false };
    if (!report.rendered) {
      return report;
    }
    const hit = withInView(element, () => hitAt(centreOf(element)));
    if (hit && isReached(element, hit)) {
      return { ...report, on_top: true };
    }
    return { ...report, covered_by: hit ? label(hit) : "nothing: its centre cannot be scrolled to" };
  }

  const isRendered = (element) =>
    hasBox(boxOf(element)) && isVisible(element, { visibilityProperty: true });

  // The centre of the largest box: the whole of a link over two lines may be centred on neither.
  function centreOf(element) {
    const area = (box) => box.width * box.height;
    const box = [...boxesOf(element)].reduce(
      (best, next) => (area(next) > area(best) ? next : best),
      { left: 0, top: 0, width: 0, height: 0 },
    );
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  }

  // The innermost element at a point, shadow trees included.
  function hitAt({ x, y }) {
    let hit = hitInDocument(document, x, y);
    let shadow = hit && shadowOf(hit);
    while (shadow) {
      const inner = hitInShadow(shadow, x, y);
      if (!inner || inner === hit || rootOf(inner) !== shadow) {
        break;
      }
      hit = inner;
      shadow = shadowOf(hit);
    }
    return hit;
  }

  function isReached(element, hit) {
    if (isWithin(hit, element)) {
      return true;
    }
    for (const own of element.labels ?? []) {
      if (isWithin(hit, own)) {
        return true;
      }
    }
    // What takes no pointer is never hit itself: what it stands in is hit through it.
    return styleOf(element).pointerEvents === "none" && isWithin(element, hit);
  }

  // Runs a test with the element's centre in view, and puts back what was scrolled for it.
  function withInView(element, test) {
    if (isInView(element)) {
      return test();
    }
    const before = [];
    for (let at = element; at; at = parentOf(at)) {
      before.push({ at, left: at.scrollLeft, top: at.scrollTop });
    }
    try {
      scrollToElement(element, { block: "center", inline: "nearest", behavior: "instant" });
      return test();
    } finally {
      for (const { at, left, top } of before) {
        if (at.scrollLeft !== left || at.scrollTop !== top) {
          scrollElement(at, { left, top, behavior: "instant" });
        }
      }
    }
  }

  // Whether the centre is within the viewport and within every box that clips the element.
  function isInView(element) {
    const { x, y } = centreOf(element);
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) {
      return false;
    }
    for (let at = parentOf(element); at && at !== document.body; at = parentOf(at)) {
      if (at !== document.documentElement && styleOf(at).overflow !== "visible") {
        const box = boxOf(at);
        if (x < box.left || y < box.top || x > box.right || y > box.bottom) {
          return false;
        }
      }
    }
    return true;
  }

  // ---- What the gateway may ask ----------------------------------------------------------------

  const commands = new Map([
    ["snapshot", snapshot],
    ["turns", turns],
    ["hit_test", (_, reply) => reply({ page_t: runClock(now()), controls: hitTest() })],
    ["rects", rects],
    ["sever", sever],
  ]);

  function answer(request) {
    const reply = (fields) => write({ re: request.id, ...fields });
    try {
      const command = commands.get(request.cmd);
      if (!command) {
        throw new NativeError(`unknown command ${stringify(request.cmd)}`);
      }
      catchUp();
      command(request, reply);
    } catch (error) {
      reply({ error: String(error?.message ?? error) });
    }
  }

  // Whatever has happened is told before the answer.
  function catchUp() {
    lookAtChanges(observer.takeRecords());
    channels.forEach(tellTraffic);
  }

  // Only the page's end of a connection goes; what that means is for the clients to find out.
  function sever(_, reply) {
    const open = connections.filter(({ pc }) => pc.signalingState !== "closed");
    open.forEach(({ pc }) => pc.close());
    reply({ connections: open.length });
  }

  function snapshot({ sayings }, reply) {
    // A style sheet may have shown or hidden something, with no element changed.
    lookAtAll();
    reply({ page_t: runClock(now()), state: pageState(sayings) });
  }

  const pageState = (sayings) => ({
    url: location.href,
    connections: connections.map(connectionState),
    channels: channels.map(channelState),
    workers: workers.map(({ id, created, terminated, stack }) => ({
      id,
      created: runClock(created),
      terminated: terminated === null ? null : runClock(terminated),
      stack,
    })),
    intervals: timerStates("interval"),
    timeouts: timerStates("timeout"),
    frames: frameStates(),
    websockets: socketStates(),
    overlays: [...overlays].map(([element, record]) => overlayState(element, record)),
    errors,
    header: attempt("header", header) ?? "",
    says: sayings ? (attempt("says", () => shown(sayings)) ?? []) : undefined,
    listeners: attempt("listeners", listeners) ?? {},
    document_listeners: documentListeners(),
    game: attempt("game", game) ?? null,
  });

  const connectionState = (record) => ({
    id: record.id,
    created: runClock(record.created),
    connection: record.pc.connectionState,
    ice: record.pc.iceConnectionState,
    signaling: record.pc.signalingState,
    was_connected: record.wasConnected,
    closed: record.closed === null ? null : runClock(record.closed),
    candidates: record.candidates,
    stack: record.stack,
  });

  const channelState = (record) => ({
    id: record.id,
    connection: record.connection.id,
    label: record.label,
    state: record.channel.readyState,
    ...totals(record),
  });

  const timerStates = (kind) =>
    [...timers.values()]
      .filter((timer) => timer.kind === kind)
      .map((timer) => ({ ...askedFor(timer), period: timer.period }));

  // A page that nobody sees gets no frames: what waits for one may be of any time.
  const frameStates = () =>
    document.hidden ? [] : [...frames.values()].map(askedFor);

  const askedFor = ({ id, created, since, place }) => ({
    id,
    created: runClock(created),
    since: runClock(since),
    stack: stackText(place),
  });

  // What the page shows of some sentences to who looks at it, wherever they stand. A sentence may have markup,
  // as the page puts it in.
  function shown(sayings) {
    const seen = squashed([...seenTexts(document)].join(""));
    const parsed = (saying) => new NativeDOMParser().parseFromString(saying, "text/html").body;
    return sayings.filter((saying) =>
      [saying, textOf(parsed(saying))].some((text) => seen.includes(squashed(text))),
    );
  }

  // The texts of a tree that can be seen, in document order, those of its shadow trees as well.
  function* seenTexts(root) {
    let isSeen;
    for (const child of childrenOf(root)) {
      if (child.nodeType === 3 && (isSeen ??= showsText(root.host ?? root))) {
        yield textOf(child);
      } else if (child.nodeType === 1) {
        const shadow = shadowOf(child);
        if (shadow) {
          yield* seenTexts(shadow);
        }
        yield* seenTexts(child);
      }
    }
  }

  function showsText(holder) {
    let element = holder;
    while (element && styleOf(element).display === "contents") {
      element = parentOf(element);
    }
    return (
      element &&
      isVisible(element, { visibilityProperty: true }) &&
      opacityOf(element) > FAINTEST &&
      [...boxesOf(element)].some(
        (box) => hasBox(box) && box.right + scrollX > 0 && box.bottom + scrollY > 0,
      )
    );
  }

  const squashed = (text) => text.replace(/\s+/g, "");

  function header() {
    const element = document.getElementById("sceneHeader");
    const visible = element && isVisible(element, { visibilityProperty: true });
    return visible ? collapsed(element.textContent) : "";
  }

  // Second opinion: version 4 of the Socket.IO client keeps its listeners by `$` and the name.
  function listeners() {
    const counts = {};
    for (const [key, callbacks] of Object.entries(window.socket?._callbacks ?? {})) {
      if (key.startsWith("$") && Array.isArray(callbacks)) {
        counts[key.slice(1)] = callbacks.length;
      }
    }
    return counts;
  }

  // Second opinion: the client's own view of its game.
  function game() {
    const own = window.game;
    if (!own) {
      return null;
    }
    const view = {};
    for (const name of ["gameId", "myPlayerId", "frameNumber", "num_episodes", "state", "sceneExited"]) {
      const value = own[name];
      if (value !== undefined) {
        view[name] = value !== null && typeof value === "object" ? describe(value) : value;
      }
    }
    if (own.webrtcManager !== undefined) {
      view.hasWebrtcManager = Boolean(own.webrtcManager);
    }
    return view;
  }

  // Turns of the event loop are taken by messages: a hidden page's timers are slowed down.
  function turns({ count }, reply) {
    const { port1, port2 } = new NativeMessageChannel();
    let left = count;
    const turn = () => {
      if (left > 0) {
        left -= 1;
        port2.postMessage(null);
        return;
      }
      port1.close();
      attempt("turns", () => {
        catchUp();
        reply({ page_t: runClock(now()), websockets: socketStates() });
      });
    };
    port1.onmessage = turn;
    turn();
  }

  function rects({ selectors }, reply) {
    const found = selectors.flatMap((selector) =>
      [...findAll(document, selector)].map((element) => {
        const { x, y, width, height } = boxOf(element);
        return { selector, x, y, width, height };
      }),
    );
    reply({ rects: found, ratio: devicePixelRatio, viewport: [innerWidth, innerHeight] });
  }

  // ---- To work ---------------------------------------------------------------------------------

  // Nothing of the probe stays in the document.
  document.currentScript?.remove();
  tell("hello", {
    url: location.href,
    user_agent: navigator.userAgent,
    secure: window.isSecureContext,
  });
  attempt("connections", watchConnections);
  attempt("workers", watchWorkers);
  attempt("runtime", watchRuntime);
  attempt("timers", watchTimers);
  attempt("sockets", watchSockets);
  attempt("listeners", watchListeners);
  attempt("errors", watchErrors);
  attempt("console", watchConsole);
  attempt("page", watchPage);
  attempt("overlays", watchOverlays);
  attempt("connect", connect);
})();
//# sourceURL=gymcheck-probe.js
