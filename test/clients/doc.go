// Package clients holds tests only: it runs stock Phoenix clients, in Node and in Chromium, against gateway processes.
// README.md beside this file says which versions and cases there are.
package clients
