//go:build e2e

package web

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var drawPictures = flag.Bool("pictures", false, "draw the pictures of docs/images anew")

// maxPicture bounds what a picture weighs in the repository.
const maxPicture = 120 << 10

// The main states, as docs/web.md and the README show them. Without the flag the walk alone is tested, and that the pictures
// are there.
func TestPictures(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.size(desktop, 860)
	w.open("/")
	w.see(".hero")
	w.picture("sign-in")
	w.signIn(alice)
	s.scenario("mfa")
	w.ask("What is on the roadmap?")
	w.see(".refusal")
	w.picture("refusal")
	w.click(".refusal .do button")
	w.see(".number")
	w.click("button.main")
	w.see("#log")
	w.answered()
	w.do(chromedp.Evaluate[chromedp.Void]("scrollTo(0, 0)"))
	w.picture("answer")
	w.click(".chainlink")
	w.reads("#chain", "Token exchanged")
	w.picture("chain")
	w.click("#chain .close")
	w.prefer("prefers-color-scheme", "dark")
	w.size(phone, 740)
	w.picture("narrow")
}

// picture keeps what the window shows.
func (w *window) picture(name string) {
	w.t.Helper()
	file := filepath.Join("..", "..", "docs", "images", name+".png")
	if !*drawPictures {
		if info, err := os.Stat(file); err != nil || info.Size() > maxPicture {
			w.t.Errorf("%s is missing or too large: %v", file, err)
		}
		return
	}
	eval[bool](w, `document.activeElement?.blur(); true`) // no caret that blinks
	shot, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, withPalette(full)); err != nil {
		w.t.Fatal(err)
	}
	if out.Len() > maxPicture {
		w.t.Errorf("%s weighs %d bytes", name, out.Len())
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// withPalette keeps the most frequent colours, and of those that are alike one: a page has few, and the edges of its letters.
func withPalette(full image.Image) *image.Paletted {
	bounds := full.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA {
		r, g, b, _ := full.At(x, y).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	palette, alike := make(color.Palette, 0, 256), map[[3]uint8]bool{}
	for _, c := range colors {
		const shades = 4 // bits of each
		near := [3]uint8{c.R >> shades, c.G >> shades, c.B >> shades}
		if len(palette) < cap(palette) && (len(palette) < 16 || !alike[near]) {
			palette, alike[near] = append(palette, c), true
		}
	}
	out, nearest := image.NewPaletted(bounds, palette), map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, ok := nearest[c]
			if !ok {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}
