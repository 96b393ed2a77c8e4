// The peer of resumable uploads: @tus/server with its file store, as its README sets it up.
// Usage: node tus_server.mjs DIRECTORY; prints the port of the loopback address that it listens on.
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const server = new Server({ path: "/files", datastore: new FileStore({ directory: process.argv[2] }) });
const listening = server.listen({ host: "127.0.0.1", port: 0 }, () => console.log(listening.address().port));
