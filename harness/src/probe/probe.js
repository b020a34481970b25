(() => {
  "use strict";
  const config = /*GYMCHECK_CONFIG*/{};
  if (!config.token) return;
  const Native = { WebSocket, setTimeout: window.setTimeout.bind(window), now: performance.now.bind(performance) };
  const ledger = { connections: [], channels: [], workers: [], intervals: new Map(), timeouts: new Map(), sockets: [], overlays: [], errors: 0 };
  let offset = null, socket = null; const pending = [];
  const clock = (t) => t + (offset || 0);
  const stack = () => (new Error().stack || "").split("\n").slice(3, 9).join("\n");
  function tell(event, fields) { const m = { at: Native.now(), event, ...fields }; if (offset !== null && socket.readyState === 1) send(m); else pending.push(m); }
  function send(m) { const { at, ...rest } = m; socket.send(JSON.stringify({ page_t: clock(at), ...rest })); }
  function connect() {
    socket = new Native.WebSocket(`ws://${location.host}${config.path}?token=${config.token}`);
    socket.onmessage = (e) => { const m = JSON.parse(e.data);
      if (m.clock) socket.send(JSON.stringify({ now: Native.now() }));
      else if ("offset" in m) { offset = m.offset; pending.splice(0).forEach(send); }
      else answer(m); };
  }
  const cmds = {
    snapshot: () => ({ state: state() }),
    hit_test: () => ({ controls: hitTest() }),
    rects: (m) => ({ rects: m.selectors.flatMap((s) => [...document.querySelectorAll(s)].map((e) => { const r = e.getBoundingClientRect(); return { selector: s, x: r.x, y: r.y, width: r.width, height: r.height }; })), ratio: devicePixelRatio, viewport: [innerWidth, innerHeight] }),
  };
  async function answer(m) {
    let body;
    if (m.cmd === "turns") { for (let i = 0; i < m.count; i++) await new Promise((r) => Native.setTimeout(r, 0)); body = { websockets: sockets() }; }
    else body = cmds[m.cmd] ? cmds[m.cmd](m) : { error: "unknown" };
    socket.send(JSON.stringify({ re: m.id, page_t: clock(Native.now()), ...body }));
  }
  const sockets = () => ledger.sockets.map((s, i) => ({ id: i + 1, url: s.ws.url, state: ["connecting", "open", "closing", "closed"][s.ws.readyState], received: s.received }));
  function state() { flushAll();
    return { url: location.href, connections: ledger.connections.map((c) => ({ id: c.id, created: clock(c.at), connection: c.pc.connectionState, ice: c.pc.iceConnectionState, signaling: c.pc.signalingState, was_connected: c.was, closed: c.closed === null ? null : clock(c.closed), candidates: c.candidates, stack: c.stack })),
      channels: ledger.channels.map((d) => ({ id: d.id, connection: d.connection, label: d.ch.label, state: d.ch.readyState, sent: d.sent, sent_bytes: d.sb, received: d.received, received_bytes: d.rb })),
      workers: [], intervals: [], timeouts: [], websockets: sockets(), overlays: ledger.overlays.map(desc), errors: ledger.errors, header: "", listeners: {}, game: null }; }
  const NativePC = window.RTCPeerConnection;
  window.RTCPeerConnection = new Proxy(NativePC, { construct(t, a, n) { const pc = Reflect.construct(t, a, n); const c = { id: ledger.connections.length + 1, pc, at: Native.now(), was: false, closed: null, candidates: 0, stack: stack() }; ledger.connections.push(c); pc.__g = c;
    tell("connection_created", { id: c.id, stack: c.stack });
    const st = () => { if (pc.connectionState === "connected") c.was = true; tell("connection_state", { id: c.id, connection: pc.connectionState, ice: pc.iceConnectionState, gathering: pc.iceGatheringState, signaling: pc.signalingState }); }; c.st = st;
    for (const e of ["connectionstatechange", "iceconnectionstatechange", "icegatheringstatechange", "signalingstatechange"]) pc.addEventListener(e, st);
    pc.addEventListener("icecandidate", (e) => { if (e.candidate) c.candidates++; tell("ice_candidate", { id: c.id, candidate: e.candidate ? e.candidate.candidate : null }); });
    pc.addEventListener("datachannel", (e) => channel(e.channel, c, true)); return pc; } });
  const close = NativePC.prototype.close; NativePC.prototype.close = function () { const c = this.__g; const r = close.call(this); if (c) { if (c.closed === null) c.closed = Native.now(); tell("connection_closed", { id: c.id, stack: stack() }); c.st(); } return r; };
  const cdc = NativePC.prototype.createDataChannel; NativePC.prototype.createDataChannel = function (...a) { const ch = cdc.apply(this, a); if (this.__g) channel(ch, this.__g, false); return ch; };
  function channel(ch, c, remote) { const d = { id: ledger.channels.length + 1, ch, connection: c.id, sent: 0, sb: 0, received: 0, rb: 0, dirty: false }; ledger.channels.push(d); ch.__g = d;
    tell("channel_created", { id: d.id, connection: c.id, label: ch.label, remote });
    for (const e of ["open", "closing", "close"]) ch.addEventListener(e, () => tell("channel_state", { id: d.id, state: ch.readyState }));
    ch.addEventListener("message", (e) => { d.received++; d.rb += e.data.byteLength ?? e.data.size ?? e.data.length; dirty(d); }); }
  const dsend = RTCDataChannel.prototype.send; RTCDataChannel.prototype.send = function (x) { const r = dsend.call(this, x); const d = this.__g; if (d) { d.sent++; d.sb += x.byteLength ?? x.size ?? x.length; dirty(d); } return r; };
  function dirty(d) { if (d.dirty) return; d.dirty = true; Native.setTimeout(() => flush(d), 100); }
  function flush(d) { if (!d.dirty) return; d.dirty = false; tell("channel_traffic", { id: d.id, sent: d.sent, sent_bytes: d.sb, received: d.received, received_bytes: d.rb }); }
  const flushAll = () => ledger.channels.forEach(flush);
  window.WebSocket = new Proxy(Native.WebSocket, { construct(t, a, n) { const ws = Reflect.construct(t, a, n); const s = { ws, received: 0 }; ledger.sockets.push(s); ws.addEventListener("message", () => s.received++); return ws; } });
  const KNOWN = ["partnerDisconnectedContainer", "partnerExcludedOverlay", "monitorExclusionOverlay", "monitorWarningBanner", "focusLossContainer", "reconnect-overlay", "waiting-partner-overlay"];
  function desc(o) { const e = o.e, r = e.getBoundingClientRect(), cs = e.isConnected ? getComputedStyle(e) : null; const w = Math.max(0, Math.min(r.right, innerWidth) - Math.max(r.left, 0)), h = Math.max(0, Math.min(r.bottom, innerHeight) - Math.max(r.top, 0));
    return { id: o.id, element: `${e.localName}#${e.id}`, known: KNOWN.includes(e.id) ? e.id : null, reason: o.reason, present: e.isConnected, visible: !!cs && cs.display !== "none" && cs.visibility !== "hidden" && w * h > 0, coverage: w * h / (innerWidth * innerHeight), text: (e.textContent || "").replace(/\s+/g, " ").trim().slice(0, 300) }; }
  function look(e) { if (!(e instanceof Element)) return; let o = ledger.overlays.find((o) => o.e === e); let reason = KNOWN.includes(e.id) ? "known-id" : null;
    if (!reason && e.isConnected) { const cs = getComputedStyle(e); if ((cs.position === "fixed" || cs.position === "absolute") && !e.closest("#gameContainer")) { const d = desc({ e, id: 0, reason: "" }); if (d.visible && d.coverage >= 0.4) reason = "covers-page"; } }
    if (!reason && !o) return; if (!o) { o = { e, id: ledger.overlays.length + 1, reason, last: "" }; ledger.overlays.push(o); } const d = desc(o); const k = `${d.present}${d.visible}${d.text}`; if (k !== o.last) { o.last = k; tell("overlay", d); } }
  new MutationObserver((l) => { const s = new Set(); for (const m of l) { m.addedNodes.forEach((n) => { if (n instanceof Element) { s.add(n); n.querySelectorAll("*").forEach((x) => s.add(x)); } }); if (m.type === "attributes") s.add(m.target); } ledger.overlays.forEach((o) => s.add(o.e)); s.forEach(look); }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["style", "class", "hidden", "id"] });
  function hitTest() { return [...document.querySelectorAll("button,input:not([type=hidden]),select,textarea,a[href],canvas")].map((e) => { const name = `${e.localName}#${e.id}`; let r = e.getBoundingClientRect(); const rendered = r.width > 0 && r.height > 0; if (!rendered) return { element: name, rendered, on_top: false }; const x = scrollX, y = scrollY; e.scrollIntoView({ block: "center", behavior: "instant" }); r = e.getBoundingClientRect(); const at = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2); scrollTo({ left: x, top: y, behavior: "instant" }); const on_top = !!at && (at === e || e.contains(at)); return { element: name, rendered, on_top, ...(on_top ? {} : { covered_by: at ? `${at.localName}#${at.id}` : "nothing" }) }; }); }
  addEventListener("error", (e) => { ledger.errors++; tell("error", { message: String(e.message), stack: String(e.error && e.error.stack) }); }, true);
  addEventListener("unhandledrejection", (e) => { ledger.errors++; tell("rejection", { message: String(e.reason), stack: String(e.reason && e.reason.stack) }); });
  tell("hello", { url: location.href, user_agent: navigator.userAgent, secure: isSecureContext });
  connect();
})();
