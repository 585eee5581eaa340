package sample_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/sample"
)

func TestWhoSeesWhich(t *testing.T) {
	documents, err := sample.Documents(sample.Readers{Alice: "a", Engineering: "eng", Finance: "fin", Board: "brd"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		desc, object string
		groups       []string
		want         []string
	}{
		{"alice", "a", []string{"eng"}, []string{"1", "2", "3"}},
		{"bob", "b", []string{"fin"}, []string{"1", "4"}},
		{"carol", "c", nil, []string{"1"}},
		{"adele", "d", []string{"brd"}, []string{"1", "5"}},
		{"no person", "", nil, []string{"1"}},
		{"a person called none", "none", []string{"none"}, []string{"1"}},
	} {
		var got []string
		for i := range documents {
			if documents[i].Visible(test.object, test.groups) {
				got = append(got, documents[i].ID)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.desc, diff)
		}
	}
	for i := range documents {
		if len(documents[i].Content) < 800 {
			t.Errorf("%s is no page: %d bytes", documents[i].Name, len(documents[i].Content))
		}
	}
}
