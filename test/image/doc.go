// Package image tests the Dockerfile without a Docker engine: it runs the step that builds the binary, and checks what the
// image says about itself.
package image
