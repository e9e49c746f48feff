// Package house keeps the rules of docs/architecture.md as tests.
package house
