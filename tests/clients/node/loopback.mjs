// Loaded before a tracker: no connection may leave the machine. One that would ends the process with code 9.
import net from 'node:net';

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function guarded(...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  const host = options?.path ? '127.0.0.1' : options?.host ?? 'localhost';
  if (!['127.0.0.1', 'localhost', '::1'].includes(host)) {
    console.error('a connection would have left the machine');
    process.exit(9);
  }
  return connect.apply(this, args);
};
