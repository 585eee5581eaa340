package inverted

import (
	"math"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// BM25 is the ranking formula of the service, which is that of Lucene up to version 6:
//
//	score = idf · tf·(k1+1) / (tf + k1·(1 − b + b·length/average))
//	idf   = ln(1 + (N − n + 0.5) / (n + 0.5))
//
// tf is how often the document holds the term, n how many live documents hold it, N how many hold any term of the field,
// average their mean length, and length that of the document, as one byte keeps it. With 32 bits where Lucene has them,
// it reproduces scores that the service was recorded to give to the last digit.
//
// https://learn.microsoft.com/azure/search/index-similarity-and-scoring
type BM25 struct{ K1, B float64 }

// Weight is the part of a term's score that is the same for all documents: boost · idf · (k1+1). docs is n.
func (r BM25) Weight(f *Field, docs int, boost float64) float32 {
	n := float64(docs)
	idf := math.Log(1 + (float64(f.Documents)-n+0.5)/(n+0.5))
	return float32(boost) * float32(idf) * float32(r.K1+1)
}

// Norms returns k1·(1 − b + b·length/average) for each byte that a length may be kept as.
func (r BM25) Norms(f *Field) *[256]float32 {
	average := float32(1)
	if f.Documents > 0 && f.Tokens > 0 {
		average = float32(f.Tokens) / float32(f.Documents)
	}
	k1, b := float32(r.K1), float32(r.B)
	var norms [256]float32
	for i := range norms {
		norms[i] = k1 * (1 - b + b*decodeLength(uint8(i))/average)
	}
	return &norms
}

// Score adds the score of a term, so many times, to the documents of the posting that are among within, and puts them into
// matched.
func (f *Field) Score(p *Posting, times float64, weight float32, norms *[256]float32, within, matched bitset.Set, scores []float64) {
	for i, doc := range p.Docs {
		if within[doc>>6]>>(doc&63)&1 == 0 {
			continue
		}
		tf := float32(p.Freqs[i])
		if tf == many {
			tf = float32(p.Freq(i))
		}
		matched[doc>>6] |= 1 << (doc & 63)
		scores[doc] += times * float64(weight*tf/(tf+norms[f.Norms[doc]]))
	}
}

// ScoreOf is the score of something that occurs so often in a document.
func (f *Field) ScoreOf(doc uint32, freq, weight float32, norms *[256]float32) float64 {
	return float64(weight * freq / (freq + norms[f.Norms[doc]]))
}

// encodeLength keeps a length in one byte, with three binary digits, as Lucene's SmallFloat.floatToByte315 does with the
// reciprocal of the square root.
func encodeLength(length uint32) uint8 {
	if length == 0 {
		return 0
	}
	small := int32(math.Float32bits(float32(1/math.Sqrt(float64(length))))>>21) - (63-15)<<3
	return uint8(max(1, min(small, math.MaxUint8)))
}

// decodeLength returns the length that a byte stands for: 27 tokens are kept as 28.4.
func decodeLength(b uint8) float32 {
	if b == 0 {
		return 0
	}
	v := math.Float32frombits(uint32(b)<<21 + (63-15)<<24)
	return 1 / (v * v)
}
