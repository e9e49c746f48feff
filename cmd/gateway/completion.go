package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// completions are scripts of shells; %s stands for the commands.
var completions = map[string]string{
	"bash": `_gateway() {
  local words="%s"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[1]}"))
  elif [ "${COMP_WORDS[1]}" = completion ]; then
    COMPREPLY=($(compgen -W "bash zsh fish" -- "${COMP_WORDS[2]}"))
  fi
}
complete -F _gateway gateway
`,
	"zsh": `#compdef gateway
_gateway() {
  if (( CURRENT == 2 )); then
    compadd %s
  elif [[ "${words[2]}" == completion ]]; then
    compadd bash zsh fish
  fi
}
if [ "$funcstack[1]" = _gateway ]; then _gateway "$@"; else compdef _gateway gateway; fi
`,
	"fish": `complete -c gateway -f
complete -c gateway -n __fish_use_subcommand -a "%s"
complete -c gateway -n "__fish_seen_subcommand_from completion" -a "bash zsh fish"
`,
}

// printCompletion prints the script that lets a shell complete the commands.
func printCompletion(shell string, w io.Writer) error {
	script, known := completions[shell]
	if !known {
		return fmt.Errorf("no completion for %q; there are bash, zsh and fish", shell)
	}
	words := slices.DeleteFunc(slices.Sorted(maps.Keys(commands())), func(word string) bool { return strings.HasPrefix(word, "-") })
	_, err := fmt.Fprintf(w, script, strings.Join(words, " "))
	return err
}
