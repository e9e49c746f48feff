// Package incidents tests that the runbook "Nobody receives" of docs/operations.md finds the causes that prepare.sh makes.
package incidents
