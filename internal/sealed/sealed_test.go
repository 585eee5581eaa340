package sealed_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/sealed"
)

const (
	tenant  = "7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10"
	alice   = "00000000-0000-4000-8000-00000000000a"
	bob     = "00000000-0000-4000-8000-00000000000b"
	client  = "99999999-9999-4999-8999-999999999999"
	another = "88888888-8888-4888-8888-888888888888"
)

func use(tb testing.TB, person, azp, tool, arguments string) sealed.Use {
	tb.Helper()
	t, err1 := identity.ParseTenantID(tenant)
	o, err2 := identity.ParseObjectID(person)
	c, err3 := identity.ParseClientID(azp)
	if err := errors.Join(err1, err2, err3); err != nil {
		tb.Fatal(err)
	}
	return sealed.Use{Caller: &identity.Caller{Tenant: t, Object: o, Client: c}, Tool: tool, Arguments: []byte(arguments)}
}

func TestSealedForOneUse(t *testing.T) {
	box, err := sealed.New(identity.NewSecret("the-secret-of-the-deployment"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := sealed.New()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	mine := use(t, alice, client, "get_documents", `{"search":"x"}`)
	text, err := box.Seal(mine, []byte("state of alice"), now)
	if err != nil || strings.Contains(text, "alice") || strings.ContainsAny(text, "+/= ") {
		t.Fatalf("got %q, %v", text, err)
	}
	flipped := []byte(text)
	flipped[len(flipped)/2] ^= 1
	for _, tt := range []struct {
		desc string
		box  *sealed.Box
		use  sealed.Use
		text string
		at   time.Duration
		want bool
	}{
		{"the same use", box, mine, text, 0, true},
		{"after nine minutes", box, mine, text, 9 * time.Minute, true},
		{"after eleven minutes", box, mine, text, 11 * time.Minute, false},
		{"before it was made", box, mine, text, -2 * time.Minute, false},
		{"another person", box, use(t, bob, client, "get_documents", `{"search":"x"}`), text, 0, false},
		{"another client", box, use(t, alice, another, "get_documents", `{"search":"x"}`), text, 0, false},
		{"another tool", box, use(t, alice, client, "delete_documents", `{"search":"x"}`), text, 0, false},
		{"other arguments", box, use(t, alice, client, "get_documents", `{"search":"y"}`), text, 0, false},
		{"nobody", box, sealed.Use{Tool: "get_documents"}, text, 0, false},
		{"altered", box, mine, string(flipped), 0, false},
		{"cut", box, mine, text[:20], 0, false},
		{"empty", box, mine, "", 0, false},
		{"huge", box, mine, strings.Repeat("A", 1<<20), 0, false},
		{"another deployment", stranger, mine, text, 0, false},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			got, err := tt.box.Open(tt.use, tt.text, now.Add(tt.at))
			if (err == nil) != tt.want || tt.want && string(got) != "state of alice" || !tt.want && !errors.Is(err, sealed.ErrInvalid) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestSecretsOfABox(t *testing.T) {
	now := time.Now()
	old, err1 := sealed.New(identity.NewSecret("old"))
	both, err2 := sealed.New(identity.NewSecret("new"), identity.NewSecret("old"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	text, err := old.Seal(use(t, alice, client, "t", ""), []byte("x"), now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Open(use(t, alice, client, "t", ""), text, now); err != nil || string(got) != "x" {
		t.Errorf("during a rotation: %q, %v", got, err)
	}
	if _, err := sealed.New(identity.Secret{}); err == nil {
		t.Error("an empty secret was taken")
	}
	if _, err := old.Seal(use(t, alice, client, "t", ""), make([]byte, 10<<10), now); err == nil {
		t.Error("too much data was taken")
	}
	if _, err := old.Seal(sealed.Use{}, nil, now); err == nil {
		t.Error("sealed for nobody")
	}
}

func FuzzOpen(f *testing.F) {
	box, err := sealed.New() // each of the fuzzer's processes has a key of its own: seeds of another one are forged
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	mine := use(f, alice, client, "t", "{}")
	text, err := box.Seal(mine, []byte("x"), now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, forged string) {
		if _, err := box.Open(mine, forged, now); err == nil && forged != text {
			t.Errorf("a forged state was opened: %q", forged)
		}
	})
}
