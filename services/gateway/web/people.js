// Names of those who act: services and people, as a person would say them.

const SERVICES = {
  brain: "Brain", body: "Body", engine: "Engine", recorder: "Recorder", gateway: "Server", transfer: "Transfer function",
  "transfer function": "Transfer function",
};

/** "Brain" for brain, "You" for oneself, else the name with a capital. */
export function who(name, me = null) {
  if (!name) return "Somebody";
  if (me && name === me.name) return "You";
  return SERVICES[name] ?? name[0].toUpperCase() + name.slice(1);
}
