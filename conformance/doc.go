// Package conformance holds black-box tests only. They build the gateway, start it as processes with a Redis server of
// their own, answer its webhooks, and speak to it as clients do. README.md beside this file says which cases there are.
package conformance
