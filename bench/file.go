package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// fileCorpus reads the documents of a file, one JSON object to a line, with the fields of the sample index: those that
// examples/debian makes of Debian's packages. They have no date: the size stands for one. Nobody is in thousands of
// Debian's groups, so that each document is given two more: who may read it as a team, and all whose names begin alike.
func fileCorpus(name string) (*corpus, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var docs []*document
	users, groups, words := map[string]int{}, map[string]int{}, map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line struct {
			ID, Name, Section, Content string
			Size                       int64
			OID, Group                 []string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, len(docs)+1, err)
		}
		for _, owner := range line.OID {
			if owner != everyone {
				line.Group = append(line.Group, groupID("team "+owner))
			}
		}
		line.Group = append(line.Group, groupID("name "+line.Name[:min(3, len(line.Name))]))
		docs = append(docs, &document{
			ID: line.ID, Name: line.Name, Content: line.Content, Category: line.Section, Number: line.Size,
			Created: epoch().Add(time.Duration(line.Size%(10*365*86400)) * time.Second), Users: line.OID, Groups: line.Group,
		})
		count(users, line.OID)
		count(groups, line.Group)
		text := strings.FieldsFunc(strings.ToLower(line.Content), func(r rune) bool { return !unicode.IsLetter(r) })
		slices.Sort(text)
		count(words, slices.Compact(text))
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	delete(users, everyone)
	delete(groups, everyone)
	byFrequency := mostFrequent(words)
	if len(byFrequency) < 5000 || len(groups) < 2000 {
		return nil, fmt.Errorf("%s is too small to measure with", name)
	}
	return &corpus{
		size: len(docs), documents: slices.Values(docs), users: mostFrequent(users), groups: mostFrequent(groups),
		groupSizes: []int{3, 200, 2000}, frequent: byFrequency[20:200], rare: byFrequency[500:5000],
	}, nil
}

// groupID makes the id of a group from what it is called.
func groupID(name string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String() }

func count(counts map[string]int, values []string) {
	for _, v := range values {
		counts[v]++
	}
}

// mostFrequent returns the keys, those with the highest counts first.
func mostFrequent(counts map[string]int) []string {
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if n := counts[b] - counts[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return keys
}
