package corpus_test

import (
	"testing"

	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/sample"
)

func BenchmarkCheck(b *testing.B) {
	path, _ := writeCorpus(b)
	for b.Loop() {
		checker, err := corpus.NewChecker(sample.Definition("bench"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := corpus.Check(corpus.Lines(path), checker, nil); err != nil {
			b.Fatal(err)
		}
	}
}
