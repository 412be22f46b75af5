"""Live sockets: Socket.IO over WebSocket and polling."""
