// Package hubtest is the contract of the seams of package hub, as a test that every implementation passes.
package hubtest
