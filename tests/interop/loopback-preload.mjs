// Programs that listen on every address listen on loopback: node --import loopback-preload.mjs.
import net from 'node:net';
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  if (typeof args[0] === 'number') args = [{ port: args[0], host: '127.0.0.1' }, ...args.slice(1).filter((a) => typeof a === 'function')];
  else if (args[0] && typeof args[0] === 'object' && !args[0].path) args[0] = { ...args[0], host: '127.0.0.1' };
  return listen.apply(this, args);
};
