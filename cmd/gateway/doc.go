// Command gateway is one pod of Roost: it reads its settings from the environment, builds the graph of parts, runs it, and
// stops it front to back.
//
// # Stopping
// On SIGTERM or interrupt the ports close, /readyz says no, clients are told to reconnect elsewhere within the drain
// timeout, the backend is told who has gone, and the link to Redis goes last. The exit code is 0 then (TestStop). A second
// signal ends the process at once.
//
// # Secrets
// No setting that may hold a secret is printed, not even by an error (TestConfigIsPrintedWithoutSecrets,
// TestErrorsHoldNoSecret).
package main
