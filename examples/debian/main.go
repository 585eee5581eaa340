// Command debian turns the package descriptions of a Debian archive into documents with real owners: some 63,000 of
// them, each readable by its maintainer and by two groups, a tenth by everyone.
//
//	apt-cache dumpavail | go run ./examples/debian --people people.jsonl > documents.jsonl
//	go run ./cmd/onbehalf demo --docs documents.jsonl --people people.jsonl
//
// The fields are those of the sample schema: id (the package's name as a key), name, section, content (the description),
// size (bytes installed), oid (the maintainer, or "all"), group (the section, and the name's first letter). Ids are made
// from names, so that the same input gives the same bytes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

func main() {
	people := flag.String("people", "", "also write the maintainers to this file")
	limit := flag.Int("limit", 0, "stop after this many documents; 0 for all")
	seed := flag.String("seed", "debian", "other seeds give other ids")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "debian: want no arguments: package descriptions come from standard input, as apt-cache dumpavail prints them")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, *people, *limit, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "debian:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, peopleFile string, limit int, seed string) error {
	c := &corpus{seed: seed, people: map[string]*maintainer{}, seen: map[string]bool{}}
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	count := 0
	for record, err := range paragraphs(in) {
		if err != nil {
			return err
		}
		document, ok := c.document(record)
		if !ok {
			continue
		}
		if err := encoder.Encode(document); err != nil {
			return err
		}
		if count++; count == limit {
			break
		}
	}
	if count == 0 {
		return errors.New("no package descriptions in standard input: apt-cache dumpavail | go run ./examples/debian")
	}
	if err := buffered.Flush(); err != nil || peopleFile == "" {
		return err
	}
	return c.writePeople(peopleFile)
}

// paragraphs yields the records of an archive: "Name: value" lines, continued by indented ones, ended by an empty one.
func paragraphs(in io.Reader) func(yield func(map[string]string, error) bool) {
	return func(yield func(map[string]string, error) bool) {
		scanner := bufio.NewScanner(in)
		scanner.Buffer(make([]byte, 64<<10), 4<<20)
		record, key := map[string]string{}, ""
		for scanner.Scan() {
			line := scanner.Text()
			switch {
			case line == "":
				if len(record) > 0 && !yield(record, nil) {
					return
				}
				record, key = map[string]string{}, ""
			case line[0] == ' ' || line[0] == '\t':
				record[key] += "\n" + strings.TrimSpace(line)
			default:
				name, value, _ := strings.Cut(line, ":")
				key = name
				record[key] = strings.TrimSpace(value)
			}
		}
		if err := scanner.Err(); err != nil {
			yield(nil, err)
		} else if len(record) > 0 {
			yield(record, nil)
		}
	}
}

type document struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Section string   `json:"section"`
	Content string   `json:"content"`
	Size    int64    `json:"size"`
	Oid     []string `json:"oid"`
	Group   []string `json:"group"`
}

type maintainer struct {
	Name   string   `json:"name"`
	UPN    string   `json:"upn"`
	Oid    string   `json:"oid"`
	Groups []string `json:"groups"`

	groups map[string]bool
}

type corpus struct {
	seed   string
	people map[string]*maintainer
	seen   map[string]bool
}

// space is the name space of the ids (RFC 9562 §5.5).
var space = uuid.MustParse("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")

func (c *corpus) id(kind, word string) uuid.UUID {
	return uuid.NewSHA1(space, []byte(c.seed+"/"+kind+"/"+word))
}

func (c *corpus) document(record map[string]string) (document, bool) {
	name := record["Package"]
	if name == "" || c.seen[name] {
		return document{}, false
	}
	c.seen[name] = true
	section := record["Section"]
	section = section[strings.LastIndexByte(section, '/')+1:]
	if section == "" {
		section = "none"
	}
	groups := []string{c.id("section", section).String(), c.id("letter", name[:1]).String()}
	owner := c.maintainer(record["Maintainer"], groups)
	readers := []string{owner.Oid}
	if public := c.id("public", name); public[15]%10 == 0 {
		readers = []string{"all"}
	}
	content := record["Description-en"]
	if content == "" {
		content = record["Description"]
	}
	size, _ := strconv.ParseInt(record["Installed-Size"], 10, 64) // absent is 0
	return document{
		ID: keyOf(name), Name: name, Section: section, Content: strings.ReplaceAll(content, "\n.\n", "\n\n"),
		Size: size * 1024, Oid: readers, Group: groups,
	}, true
}

func (c *corpus) maintainer(line string, groups []string) *maintainer {
	if line == "" {
		line = "nobody"
	}
	m := c.people[line]
	if m == nil {
		oid := c.id("person", line).String()
		name, _, _ := strings.Cut(line, "<")
		m = &maintainer{Name: strings.Trim(name, ` "`), UPN: upnOf(line, oid), Oid: oid, groups: map[string]bool{}}
		c.people[line] = m
	}
	for _, group := range groups {
		m.groups[group] = true
	}
	return m
}

// keyOf makes a key of the search service from a package's name: letters, digits, _, - and = only.
func keyOf(name string) string {
	return strings.NewReplacer("+", "_p", ".", "_d", ":", "_c", "~", "_t").Replace(name)
}

var notInUPN = regexp.MustCompile(`[^a-z0-9._-]`)

// upnOf makes a sign-in name of a mail address, unique by the id's first digits.
func upnOf(line, oid string) string {
	local := strings.ToLower(line[strings.LastIndexByte(line, '<')+1:])
	local, _, _ = strings.Cut(local, "@")
	if local = notInUPN.ReplaceAllString(local, ""); local == "" {
		local = "nobody"
	}
	return local + "." + oid[:4] + "@contoso.example"
}

func (c *corpus) writePeople(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for _, line := range slices.Sorted(maps.Keys(c.people)) {
		m := c.people[line]
		m.Groups = slices.Sorted(maps.Keys(m.groups))
		if err := encoder.Encode(m); err != nil {
			return err
		}
	}
	return buffered.Flush()
}
