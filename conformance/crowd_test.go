package conformance_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// crowdProcess is the Node process with the clients.
type crowdProcess struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func newCrowd(t *testing.T) *crowdProcess {
	t.Helper()
	cmd := exec.Command("node", "randomclients.js")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	p := &crowdProcess{t, in, bufio.NewScanner(out)}
	p.out.Buffer(nil, 16<<20)
	return p
}

// tell gives one order and returns the answer.
func (p *crowdProcess) tell(order map[string]any) []byte {
	p.t.Helper()
	line, err := json.Marshal(order)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
	if !p.out.Scan() {
		p.t.Fatalf("the clients ended: %v", p.out.Err())
	}
	return p.out.Bytes()
}

// clientState is what phoenix.js believes.
type clientState struct {
	Codes  map[string]int
	Topics map[string]struct {
		State string
		List  map[string][]string
	}
}
