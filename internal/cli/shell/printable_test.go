package shell_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// steering are characters that a terminal, or the algorithm for right-to-left text, takes for orders.
const steering = "\x1b]0;title\a \u009b31m \u202egnp.exe \u2066 \u061c \u2028 \x7f\r"

func TestPrintable(t *testing.T) {
	got := shell.Printable("Grüße\n\tan " + steering)
	if want := "Grüße\n\tan ·]0;title· ·31m ·gnp.exe · · · ··"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrintableLine(t *testing.T) {
	if got, want := shell.PrintableLine("Grüße\n\tan\x1b[2J"), "Grüße··an·[2J"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriteJSON(t *testing.T) {
	want := map[string]any{"text": "Grüße " + steering, steering: []any{"a\nb", "👩‍💻"}}
	var out bytes.Buffer
	if err := shell.WriteJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	if text := strings.TrimSuffix(out.String(), "\n"); shell.Printable(text) != text || strings.Contains(text, "\n") {
		t.Errorf("%q steers a terminal", text)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was written is read as something else (-want +got):\n%s", diff)
	}
}
