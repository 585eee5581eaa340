package identity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/identity"
)

func TestParseIDs(t *testing.T) {
	const good = "7F1D3F0E-6D8E-5D6F-9C41-0D9F4F6F2B10"
	id, err := identity.ParseTenantID(good)
	if err != nil || id.String() != strings.ToLower(good) {
		t.Errorf("ParseTenantID(%q) = %q, %v; want lower case", good, id, err)
	}
	for desc, bad := range map[string]string{
		"empty":              "",
		"short":              good[:35],
		"braces":             "{" + good[:34] + "}",
		"hyphen moved":       "7F1D3F0E6-D8E-5D6F-9C41-0D9F4F6F2B10",
		"not hexadecimal":    "7F1D3F0G-6D8E-5D6F-9C41-0D9F4F6F2B10",
		"look-alike hyphens": strings.ReplaceAll(good, "-", "‐"),
		"path traversal":     "../../../../../../../../etc/passwd..",
	} {
		if got, err := identity.ParseObjectID(bad); err == nil || !got.IsZero() {
			t.Errorf("%s: ParseObjectID(%q) = %q, nil; want an error and the zero id", desc, bad, got)
		}
	}
}

func TestIDsSurviveJSON(t *testing.T) {
	type doc struct {
		Tenant identity.TenantID `json:"tenant"`
		Client identity.ClientID `json:"client,omitzero"`
	}
	var got doc
	if err := json.Unmarshal([]byte(`{"tenant":"7F1D3F0E-6D8E-5D6F-9C41-0D9F4F6F2B10"}`), &got); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(got)
	if want := `{"tenant":"7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10"}`; err != nil || string(out) != want {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
	if err := json.Unmarshal([]byte(`{"tenant":"nonsense"}`), &got); err == nil {
		t.Error("a malformed id was accepted")
	}
}

func TestSecretCannotPrint(t *testing.T) {
	const value = "s3cr3t-value"
	secret := identity.NewSecret(value)
	type holder struct {
		Public  identity.Secret
		private identity.Secret
	}
	h := holder{secret, secret}
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("secret", secret), slog.Any("holder", h))
	for way, out := range map[string]string{
		"%v": fmt.Sprintf("%v", secret), "%+v": fmt.Sprintf("%+v", h), "%#v": fmt.Sprintf("%#v", h),
		"%x": fmt.Sprintf("%x", secret), "%q": fmt.Sprintf("%q", secret), "pointer": fmt.Sprintf("%+v", &h),
		"json": string(js), "slog": log.String(), "error": fmt.Errorf("failed with %v", h).Error(),
	} {
		if strings.Contains(out, value) || strings.Contains(out, fmt.Sprintf("%x", value)) {
			t.Errorf("%s shows the secret: %s", way, out)
		}
	}
	if got := h.private.Reveal(); got != value {
		t.Errorf("Reveal() = %q, want %q", got, value)
	}
	if !identity.NewSecret("").IsZero() {
		t.Error("an empty secret is not zero")
	}
}
