package auth

import (
	"fmt"
	"os"
)

// LoadRules reads the topic rules in the file path. Its errors are those of the file system and of [ParseRules].
func LoadRules(path string) (Rules, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read topic rules: %w", err)
	}
	return ParseRules(path, data)
}
