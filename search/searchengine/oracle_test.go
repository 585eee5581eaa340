package searchengine_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// The oracle keeps documents as plain values and answers every query by looking at each of them. Engine and oracle are
// given the same random writes, restarts and questions, and must agree.

const oracleIndex = `{"name":"oracle","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"text","type":"Edm.String"},
	{"name":"cat","type":"Edm.String","searchable":false},
	{"name":"low","type":"Edm.String","searchable":false,"normalizer":"lowercase"},
	{"name":"n","type":"Edm.Int64"},
	{"name":"d","type":"Edm.Double"},
	{"name":"when","type":"Edm.DateTimeOffset"},
	{"name":"flag","type":"Edm.Boolean"},
	{"name":"tags","type":"Collection(Edm.String)","searchable":false},
	{"name":"nums","type":"Collection(Edm.Int32)"},
	{"name":"addr","type":"Edm.ComplexType","fields":[{"name":"city","type":"Edm.String","searchable":false}]},
	{"name":"rooms","type":"Collection(Edm.ComplexType)","fields":[
		{"name":"rate","type":"Edm.Int32"},
		{"name":"kind","type":"Edm.String","searchable":false},
		{"name":"tags","type":"Collection(Edm.String)","searchable":false}]},
	{"name":"users","type":"Collection(Edm.String)","permissionFilter":"userIds","searchable":false},
	{"name":"groups","type":"Collection(Edm.String)","permissionFilter":"groupIds","searchable":false},
	{"name":"scope","type":"Edm.String","permissionFilter":"rbacScope","searchable":false}]}`

type oracleRoom struct {
	Rate *int32   `json:"rate"`
	Kind *string  `json:"kind"`
	Tags []string `json:"tags"`
}

type oracleAddress struct {
	City *string `json:"city"`
}

// oracleDoc is a document as the engine shows it; doubles are strings where JSON has no number for them.
type oracleDoc struct {
	ID     string         `json:"id"`
	Text   *string        `json:"text"`
	Cat    *string        `json:"cat"`
	Low    *string        `json:"low"`
	N      *int64         `json:"n"`
	D      any            `json:"d"`
	When   *string        `json:"when"`
	Flag   *bool          `json:"flag"`
	Tags   []string       `json:"tags"`
	Nums   []int32        `json:"nums"`
	Addr   *oracleAddress `json:"addr"`
	Rooms  []oracleRoom   `json:"rooms"`
	Users  []string       `json:"users"`
	Groups []string       `json:"groups"`
	Scope  *string        `json:"scope"`
}

func (d *oracleDoc) double() (float64, bool) {
	switch v := d.D.(type) {
	case float64:
		return v, true
	case string:
		return map[string]float64{"NaN": math.NaN(), "INF": math.Inf(1), "-INF": math.Inf(-1)}[v], true
	}
	return 0, false
}

// oracle holds the documents by key.
type oracle struct {
	*rand.Rand
	docs map[string]*oracleDoc
}

func pick[T any](o *oracle, values ...T) T { return values[o.IntN(len(values))] }

// maybe is null now and then.
func maybe[T any](o *oracle, v T) *T {
	if o.IntN(4) == 0 {
		return nil
	}
	return &v
}

func some[T any](o *oracle, most int, values ...T) []T {
	out := make([]T, o.IntN(most+1))
	for i := range out {
		out[i] = pick(o, values...)
	}
	return out
}

var (
	oracleWords = []string{"fox", "dog", "cat", "bird", "red", "blue", "quick", "slow"}
	oracleTags  = []string{"a", "b", "B", "ä", "", "it's"}
	oracleInts  = []int64{math.MinInt64, -5, 0, 1, 2, 3, 9007199254740992, 9007199254740993, math.MaxInt64}
	oracleDates = []string{"0001-01-01T00:00:00Z", "1600-02-29T12:00:00.5Z", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00.0000001Z", "9999-12-31T23:59:59.9999999Z"}
)

func (o *oracle) doc(key string) *oracleDoc {
	d := &oracleDoc{
		ID: key, Text: maybe(o, strings.Join(some(o, 8, oracleWords...), " ")), Cat: maybe(o, pick(o, oracleTags...)),
		Low: maybe(o, pick(o, "x", "X", "Y")), N: maybe(o, pick(o, oracleInts...)),
		D: pick[any](o, nil, 0.0, 1.5, -2.0, "NaN", "INF", "-INF"), When: maybe(o, pick(o, oracleDates...)),
		Flag: maybe(o, pick(o, true, false)), Tags: some(o, 3, oracleTags...), Nums: some(o, 3, int32(1), 2, 3),
		Addr: maybe(o, oracleAddress{maybe(o, pick(o, oracleTags...))}), Rooms: []oracleRoom{},
		Users: some(o, 2, u1, u2, u3, "all", "none"), Groups: some(o, 2, g1, g2, "none"), Scope: maybe(o, pick(o, "/s1", "/s2")),
	}
	for range o.IntN(3) {
		d.Rooms = append(d.Rooms, oracleRoom{maybe(o, pick(o, int32(1), 2, 3)), maybe(o, pick(o, oracleTags...)), some(o, 2, oracleTags...)})
	}
	return d
}

// visible is the truth table of permissions.
func (d *oracleDoc) visible(u search.User) bool {
	who, isPerson := u.(search.ByPrincipals)
	if !isPerson && !search.IsPublicOnly(u) {
		return true // elevated
	}
	if slices.Contains(d.Users, "all") || slices.Contains(d.Groups, "all") {
		return true
	}
	return isPerson && (slices.Contains(d.Users, who.Object.String()) ||
		slices.ContainsFunc(who.Groups, func(g string) bool { return slices.Contains(d.Groups, g) }) ||
		d.Scope != nil && slices.Contains(who.Scopes, *d.Scope))
}

// condition is a filter, as text and as a function.
type condition struct {
	text  string
	holds func(*oracleDoc) bool
}

func (o *oracle) condition(depth int) condition {
	if depth > 0 && o.IntN(2) == 0 {
		a, b := o.condition(depth-1), o.condition(depth-1)
		switch o.IntN(3) {
		case 0:
			return condition{"(" + a.text + ") and (" + b.text + ")", func(d *oracleDoc) bool { return a.holds(d) && b.holds(d) }}
		case 1:
			return condition{"(" + a.text + ") or (" + b.text + ")", func(d *oracleDoc) bool { return a.holds(d) || b.holds(d) }}
		default:
			return condition{"not (" + a.text + ")", func(d *oracleDoc) bool { return !a.holds(d) }}
		}
	}
	return pick(o, o.stringCondition, o.numberCondition, o.doubleCondition, o.dateCondition, o.boolCondition, o.tagsCondition,
		o.numsCondition, o.roomsCondition, o.inCondition)()
}

// compared says what a comparison of two values that are not null comes to.
func compared[T cmp.Ordered](op string, a, b T) bool {
	switch op {
	case "eq":
		return a == b
	case "ne":
		return a != b
	case "lt":
		return a < b
	case "le":
		return a <= b
	case "gt":
		return a > b
	default:
		return a >= b
	}
}

func comparison[T cmp.Ordered](field, op, literal string, value T, get func(*oracleDoc) *T) condition {
	return condition{field + " " + op + " " + literal, func(d *oracleDoc) bool {
		v := get(d)
		if v == nil {
			return op == "ne"
		}
		return compared(op, *v, value)
	}}
}

func nullComparison(o *oracle, field string, isNull func(*oracleDoc) bool) condition {
	if o.IntN(2) == 0 {
		return condition{field + " eq null", isNull}
	}
	return condition{field + " ne null", func(d *oracleDoc) bool { return !isNull(d) }}
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (o *oracle) op() string { return pick(o, "eq", "ne", "lt", "le", "gt", "ge") }

func (o *oracle) stringCondition() condition {
	v, op := pick(o, oracleTags...), pick(o, "eq", "ne")
	switch o.IntN(4) {
	case 0:
		return nullComparison(o, "cat", func(d *oracleDoc) bool { return d.Cat == nil })
	case 1:
		return comparison("addr/city", op, quoted(v), v, func(d *oracleDoc) *string {
			if d.Addr == nil {
				return nil
			}
			return d.Addr.City
		})
	case 2:
		mixed := pick(o, "x", "Y")
		return comparison("low", op, quoted(mixed), strings.ToLower(mixed), func(d *oracleDoc) *string {
			if d.Low == nil {
				return nil
			}
			low := strings.ToLower(*d.Low)
			return &low
		})
	}
	return comparison("cat", op, quoted(v), v, func(d *oracleDoc) *string { return d.Cat })
}

func (o *oracle) numberCondition() condition {
	if o.IntN(5) == 0 {
		return nullComparison(o, "n", func(d *oracleDoc) bool { return d.N == nil })
	}
	v := pick(o, oracleInts...)
	return comparison("n", o.op(), strconv.FormatInt(v, 10), v, func(d *oracleDoc) *int64 { return d.N })
}

func (o *oracle) doubleCondition() condition {
	literal, op := pick(o, "0", "1.5", "-2.0", "NaN", "INF", "-INF"), o.op()
	v, err := strconv.ParseFloat(strings.Replace(literal, "INF", "Inf", 1), 64)
	if err != nil {
		panic(err)
	}
	return condition{"d " + op + " " + literal, func(d *oracleDoc) bool {
		got, ok := d.double()
		if !ok {
			return op == "ne"
		}
		return compared(op, got, v)
	}}
}

func (o *oracle) dateCondition() condition {
	v := pick(o, oracleDates...)
	// Of the dates here, those with decimals sort as text once the Z is gone.
	return comparison("when", o.op(), v, strings.TrimSuffix(v, "Z"), func(d *oracleDoc) *string {
		if d.When == nil {
			return nil
		}
		when := strings.TrimSuffix(*d.When, "Z")
		return &when
	})
}

func (o *oracle) boolCondition() condition {
	isTrue := func(d *oracleDoc) bool { return d.Flag != nil && *d.Flag }
	return pick(o,
		condition{"flag", isTrue},
		condition{"not flag", func(d *oracleDoc) bool { return !isTrue(d) }},
		condition{"flag eq false", func(d *oracleDoc) bool { return d.Flag != nil && !*d.Flag }},
		condition{"flag ne true", func(d *oracleDoc) bool { return !isTrue(d) }},
		nullComparison(o, "flag", func(d *oracleDoc) bool { return d.Flag == nil }))
}

func (o *oracle) tagsCondition() condition {
	a, b := pick(o, oracleTags...), pick(o, oracleTags...)
	has := func(d *oracleDoc, v string) bool { return slices.Contains(d.Tags, v) }
	return pick(o,
		condition{"tags/any()", func(d *oracleDoc) bool { return len(d.Tags) > 0 }},
		condition{"tags/any(t: t eq " + quoted(a) + ")", func(d *oracleDoc) bool { return has(d, a) }},
		condition{"tags/any(t: t eq " + quoted(a) + " or t eq " + quoted(b) + ")", func(d *oracleDoc) bool { return has(d, a) || has(d, b) }},
		condition{"tags/all(t: t ne " + quoted(a) + ")", func(d *oracleDoc) bool { return !has(d, a) }},
		condition{"tags/any(t: search.in(t, 'a|B|ä', '|'))", func(d *oracleDoc) bool { return has(d, "a") || has(d, "B") || has(d, "ä") }},
		condition{"tags/all(t: not search.in(t, 'a, b'))", func(d *oracleDoc) bool { return !has(d, "a") && !has(d, "b") }})
}

func (o *oracle) numsCondition() condition {
	v, op := int32(o.IntN(4)), o.op()
	text := fmt.Sprintf("(x: x %s %d)", op, v)
	holds := func(n int32) bool { return compared(op, n, v) }
	return pick(o,
		condition{"nums/any" + text, func(d *oracleDoc) bool { return slices.ContainsFunc(d.Nums, holds) }},
		condition{"nums/all" + text, func(d *oracleDoc) bool {
			return !slices.ContainsFunc(d.Nums, func(n int32) bool { return !holds(n) })
		}})
}

func (o *oracle) roomsCondition() condition {
	rate, kind := int32(1+o.IntN(3)), pick(o, oracleTags...)
	body := fmt.Sprintf("r/rate ge %d and r/kind ne %s", rate, quoted(kind))
	holds := func(r oracleRoom) bool {
		return r.Rate != nil && *r.Rate >= rate && (r.Kind == nil || *r.Kind != kind)
	}
	tagged := func(r oracleRoom) bool { return slices.Contains(r.Tags, kind) && r.Rate != nil && *r.Rate == rate }
	return pick(o,
		condition{"rooms/any()", func(d *oracleDoc) bool { return len(d.Rooms) > 0 }},
		condition{"rooms/any(r: " + body + ")", func(d *oracleDoc) bool { return slices.ContainsFunc(d.Rooms, holds) }},
		condition{"rooms/all(r: " + body + ")", func(d *oracleDoc) bool {
			return !slices.ContainsFunc(d.Rooms, func(r oracleRoom) bool { return !holds(r) })
		}},
		condition{
			fmt.Sprintf("rooms/any(r: r/tags/any(t: t eq %s) and r/rate eq %d)", quoted(kind), rate),
			func(d *oracleDoc) bool { return slices.ContainsFunc(d.Rooms, tagged) },
		})
}

func (o *oracle) inCondition() condition {
	return condition{"search.in(id, 'k1,k2,k3,k4,k5,k6,k7,k8,k9')", func(d *oracleDoc) bool {
		return len(d.ID) == 2 && d.ID != "k0"
	}}
}

// full is a full-text query, as text and as a function.
func (o *oracle) full() condition {
	a, b := pick(o, oracleWords...), pick(o, oracleWords...)
	has := func(d *oracleDoc, w string) bool { return d.Text != nil && slices.Contains(strings.Fields(*d.Text), w) }
	return pick(o,
		condition{"", func(*oracleDoc) bool { return true }},
		condition{"*", func(*oracleDoc) bool { return true }},
		condition{a, func(d *oracleDoc) bool { return has(d, a) }},
		condition{a + " " + b, func(d *oracleDoc) bool { return has(d, a) || has(d, b) }},
		condition{"+" + a + " +" + b, func(d *oracleDoc) bool { return has(d, a) && has(d, b) }},
		condition{a + " NOT " + b, func(d *oracleDoc) bool { return has(d, a) && !has(d, b) }},
		condition{`"` + a + " " + b + `"`, func(d *oracleDoc) bool {
			return d.Text != nil && strings.Contains(" "+*d.Text+" ", " "+a+" "+b+" ")
		}},
		condition{a[:2] + "*", func(d *oracleDoc) bool {
			return d.Text != nil && slices.ContainsFunc(strings.Fields(*d.Text), func(w string) bool { return strings.HasPrefix(w, a[:2]) })
		}})
}

// write applies a random batch to both.
func (o *oracle) write(t *testing.T, e *searchengine.Engine) {
	t.Helper()
	batch := make([]search.Action, 1+o.IntN(20))
	want := make([]int, len(batch))
	for i := range batch {
		key := "k" + strconv.Itoa(o.IntN(150))
		d := o.doc(key)
		old := o.docs[key]
		want[i] = 200
		switch kind := pick(o, search.Upload, search.Upload, search.Merge, search.MergeOrUpload, search.Delete); {
		case kind == search.Delete:
			batch[i] = action(kind, `{"id":"`+key+`"}`)
			delete(o.docs, key)
		case kind != search.Upload && old != nil:
			// A merge of some members, a null among them.
			merged := *old
			merged.Cat, merged.Tags, merged.N, merged.Users = d.Cat, d.Tags, nil, d.Users
			o.docs[key] = &merged
			part, err := json.Marshal(map[string]any{"id": key, "cat": d.Cat, "tags": d.Tags, "n": nil, "users": d.Users})
			if err != nil {
				t.Fatal(err)
			}
			batch[i] = action(kind, string(part))
		default:
			whole, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			batch[i] = action(kind, string(whole))
			if kind == search.Merge {
				want[i] = 404
				continue
			}
			if old == nil {
				want[i] = 201
			}
			o.docs[key] = d
		}
	}
	statuses, err := e.Write(t.Context(), "oracle", batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range statuses {
		if s.Code != want[i] {
			t.Fatalf("action %d, %s %s: status %+v; want %d", i, batch[i].Kind, batch[i].Document, s, want[i])
		}
	}
}

// order is an orderby, as text and as a function that never calls two documents equal.
func (o *oracle) order() (text []string, compare func(a, b *oracleDoc) int) {
	byKey := func(a, b *oracleDoc) int { return cmp.Compare(a.ID, b.ID) }
	byCat := func(a, b *oracleDoc) int { return compareNull(a.Cat, b.Cat) }
	byN := func(a, b *oracleDoc) int { return compareNull(a.N, b.N) }
	desc := func(c func(a, b *oracleDoc) int) func(a, b *oracleDoc) int {
		return func(a, b *oracleDoc) int { return c(b, a) }
	}
	then := func(cs ...func(a, b *oracleDoc) int) func(a, b *oracleDoc) int {
		return func(a, b *oracleDoc) int {
			for _, c := range cs {
				if n := c(a, b); n != 0 {
					return n
				}
			}
			return byKey(a, b)
		}
	}
	type choice struct {
		text []string
		by   func(a, b *oracleDoc) int
	}
	c := pick(o, choice{nil, byKey}, choice{[]string{"id desc"}, desc(byKey)}, choice{[]string{"cat"}, then(byCat)},
		choice{[]string{"cat desc"}, then(desc(byCat))}, choice{[]string{"n desc"}, then(desc(byN))},
		choice{[]string{"cat desc", "n"}, then(desc(byCat), byN)})
	return c.text, c.by
}

func compareNull[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Compare(*a, *b)
}

// ask puts one random question to both.
func (o *oracle) ask(t *testing.T, e *searchengine.Engine) {
	t.Helper()
	scoped := person(t, u2, g2)
	scoped.Scopes = []string{"/s1"}
	u := pick[search.User](o, person(t, u1), person(t, u2, g1, g2), person(t, u3, g1), scoped, search.DangerouslyPublicOnly(), searchengine.Elevated())
	filter, text := o.condition(2), o.full()
	if o.IntN(3) == 0 {
		filter = condition{"", func(*oracleDoc) bool { return true }}
	}
	orderBy, order := o.order()
	scored := text.text != "" && text.text != "*"
	if scored && orderBy == nil {
		orderBy = []string{"id"} // scores are looked at elsewhere
	}
	if scored && orderBy[0] != "id" && orderBy[0] != "id desc" {
		orderBy, order = []string{"id"}, func(a, b *oracleDoc) int { return cmp.Compare(a.ID, b.ID) }
	}
	top := o.IntN(20)
	q := &search.Query{Search: text.text, QueryType: "full", SearchFields: []string{"text"}, Filter: filter.text, OrderBy: orderBy, Count: true, Top: &top, Skip: o.IntN(10)}

	var want []*oracleDoc
	for _, d := range o.docs {
		if d.visible(u) && filter.holds(d) && text.holds(d) {
			want = append(want, d)
		}
	}
	slices.SortFunc(want, order)
	r, err := e.Index("oracle").Search(t.Context(), u, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	if *r.Count != int64(len(want)) {
		t.Fatalf("as %s, %q, filter %s: %d documents; want %d", u.SeesAs(), q.Search, q.Filter, *r.Count, len(want))
	}
	want = want[min(len(want), q.Skip):]
	want = want[:min(len(want), top)]
	if len(r.Hits) != len(want) {
		t.Fatalf("%+v: %d hits; want %d", q, len(r.Hits), len(want))
	}
	for i, d := range want {
		whole, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := normalJSON(t, r.Hits[i].Document); got != normalJSON(t, whole) {
			t.Fatalf("as %s, %q, filter %s, order %v: hit %d is %s; want %s", u.SeesAs(), q.Search, q.Filter, orderBy, i, got, whole)
		}
	}
}

func normalJSON(t *testing.T, raw []byte) string {
	t.Helper()
	var d oracleDoc
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestOracle(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			c := searchengine.Config{}
			if seed%2 == 0 {
				c.Dir = t.TempDir()
			}
			o := &oracle{Rand: rand.New(rand.NewPCG(seed, 7)), docs: map[string]*oracleDoc{}}
			e := open(t, c)
			e.MaintainOften()
			define(t, e, oracleIndex)
			for range 120 {
				o.write(t, e)
				for range 8 {
					o.ask(t, e)
				}
				if c.Dir != "" && o.IntN(20) == 0 {
					if err := e.Close(); err != nil {
						t.Fatal(err)
					}
					if o.IntN(2) == 0 {
						remove(t, c.Dir, "snapshot-")
					}
					e = open(t, c)
					e.MaintainOften()
				}
			}
			if rows := e.Rows("oracle"); rows > 1000 {
				t.Errorf("%d numbers for %d documents: nothing was compacted", rows, len(o.docs))
			}
		})
	}
}
