package obo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Config is what a [Client] is made from. Fields without another default are required.
type Config struct {
	Cloud      entra.Cloud       // default: the public one
	Tenant     identity.TenantID // the only tenant whose people are served; zero: every tenant that package bearer lets in
	Client     identity.ClientID // this server's registration: the audience of the callers' tokens
	Credential Credential        // what proves that we are that application

	HTTPClient *http.Client     // towards Entra; default: one of our own. Redirects are never followed
	Now        func() time.Time // default: the system's clock
	Logger     *slog.Logger     // default: none
	Shared     SharedCache      // a cache that other replicas share; default: none

	// ConsentRedirect is an address registered for this application, where a browser lands after consent or sign-in.
	// Without it a person gets no link of her own, only the administrator's for consent.
	ConsentRedirect string

	MaxEntries      int           // tokens kept, of all people; default 50,000
	MaxPerPerson    int           // tokens kept of one person; default 32
	MissesPerMinute int           // exchanges a minute that one person may cause; default 10
	MaxConcurrent   int           // requests to Entra at one time; default 64
	Timeout         time.Duration // for one exchange, waiting included; default 15 s
	RefreshAhead    time.Duration // life left at which a call renews its token; default 5 min, at least 1 min
	RefusalLife     time.Duration // how long a refusal for consent or interaction is remembered; default 5 s, at most 1 min
}

// minimum life that a token must have left to be handed out: time to spend it.
const minimumLife = time.Minute

// New checks the configuration whole and returns a Client, or all that is wrong.
func New(config Config) (*Client, error) {
	if config.Cloud == (entra.Cloud{}) {
		config.Cloud = entra.Clouds()[0]
	}
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("obo: %w", err)
	}
	config.fill()
	cl := &Client{
		cloud: config.Cloud, tenant: config.Tenant, client: config.Client, consentRedirect: config.ConsentRedirect,
		now: config.Now, log: config.Logger, timeout: config.Timeout, refusalLife: config.RefusalLife,
		cache:  newCache(config.MaxEntries, config.MaxPerPerson, config.MissesPerMinute, config.RefreshAhead),
		shared: config.Shared, slots: make(chan struct{}, config.MaxConcurrent),
	}
	cl.stop, cl.stopNow = context.WithCancel(context.Background())
	wired := *config.HTTPClient
	wired.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	credential, err := config.Credential.bind(&config)
	if err != nil {
		return nil, fmt.Errorf("obo: %w", err)
	}
	cl.authority = newAuthority(config.Cloud, config.Client, credential, &wired, config.Now)
	return cl, nil
}

func (c *Config) check() error {
	var errs []error
	if _, err := entra.CloudOf(c.Cloud.Authority); err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		errs = append(errs, fmt.Errorf("authority %q of Cloud: want one of entra.Clouds or a result of entra.CloudOf", c.Cloud.Authority))
	}
	if c.Client.IsZero() {
		errs = append(errs, errors.New("the application id of this server (Client) is missing"))
	}
	if c.Credential == nil {
		errs = append(errs, errors.New("a Credential is missing: secret, certificate, token file or managed identity"))
	}
	if c.ConsentRedirect != "" {
		if u, err := url.Parse(c.ConsentRedirect); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("redirect %q of ConsentRedirect: want an absolute http or https URL", c.ConsentRedirect))
		}
	}
	for name, n := range map[string]int{"MaxEntries": c.MaxEntries, "MaxPerPerson": c.MaxPerPerson, "MissesPerMinute": c.MissesPerMinute, "MaxConcurrent": c.MaxConcurrent} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", name))
		}
	}
	for name, d := range map[string]time.Duration{"Timeout": c.Timeout, "RefreshAhead": c.RefreshAhead, "RefusalLife": c.RefusalLife} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", name))
		}
	}
	return errors.Join(errs...)
}

// fill puts the defaults into what was left out.
func (c *Config) fill() {
	if c.HTTPClient == nil {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
		if standard, ok := http.DefaultTransport.(*http.Transport); ok {
			transport = standard.Clone()
		}
		transport.MaxIdleConnsPerHost = 64
		c.HTTPClient = &http.Client{Transport: transport}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where this package meets the clock
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&c.MaxEntries, 50_000)
	orDefault(&c.MaxPerPerson, 32)
	orDefault(&c.MissesPerMinute, 10)
	orDefault(&c.MaxConcurrent, 64)
	orDefault(&c.Timeout, 15*time.Second)
	orDefault(&c.RefreshAhead, 5*time.Minute)
	orDefault(&c.RefusalLife, 5*time.Second)
	c.RefreshAhead = max(c.RefreshAhead, minimumLife)
	c.RefusalLife = min(c.RefusalLife, time.Minute)
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
