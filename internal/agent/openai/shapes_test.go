package openai_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/onbehalf/onbehalf/internal/agent"
)

// TestShapes replays what real servers answer: as documented by OpenAI and Microsoft (interop/models lets OpenAI's own
// clients read the same files and compares), or as seen at servers that ran there.
func TestShapes(t *testing.T) {
	files, err := filepath.Glob("testdata/shapes/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want, got shape
			if err = json.Unmarshal(archive.Files[1].Data, &want); err != nil {
				t.Fatal(err)
			}
			answer, _, err := ask(t, scripted(t, replays(t, archive.Files[0].Data)), nil)
			if err != nil {
				got.Kind = kindOf(err)
			}
			if known, ok := errors.AsType[*agent.ModelError](err); ok {
				got.Retry = int(known.Retry / time.Millisecond)
			}
			if answer != nil {
				got.Text, got.Cut, got.In, got.Out = answer.Text, answer.Cut, answer.Usage.In, answer.Usage.Out
				for _, call := range answer.Calls {
					got.Calls = append(got.Calls, [3]string{call.ID, call.Name, call.Arguments})
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// shape is what is made of an answer.
type shape struct {
	Text    string
	Calls   [][3]string // id, name, arguments
	Cut     bool
	In, Out int
	Kind    agent.ModelErrorKind
	Retry   int // milliseconds
}

// replays writes an answer as it stands in a file.
func replays(t *testing.T, text []byte) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, _ *http.Request) {
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		if _, err := io.Copy(w, response.Body); err != nil {
			t.Error(err)
		}
	}
}
