// Package rediscache shares exchanged tokens between replicas through Redis or Valkey, in such a way that the database
// learns nothing: a value is sealed under a key made of the person's own access token and a secret of the deployment. A
// copy of the database alone, or a token alone, opens nothing, and whoever can write to the database can neither forge
// an entry nor put one person's in the place of another's.
//
// The service goes on without it when it is down, and says so once.
package rediscache

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// Config is what a [Cache] is made from.
type Config struct {
	// URL is "rediss://USER:PASSWORD@HOST:6380/0" (TLS), or "redis://…" where the network is trusted.
	URL identity.Secret
	// Secrets seal the values, the first for writing, all for reading: two while one replaces the other. At least 32
	// characters each; every replica needs the same. See [ParseSecrets].
	Secrets []identity.Secret
	// RootCAs verify the server's certificate; nil means the system's.
	RootCAs *x509.CertPool

	Timeout time.Duration    // for one round trip; default 250 ms
	MaxLife time.Duration    // of a value, whatever the token says; default 1 h
	Now     func() time.Time // default: the system's clock
	Logger  *slog.Logger     // default: none
}

const (
	minSecret = 32
	maxValue  = 64 << 10
	prefix    = "onbehalf:obo:1:"
	pause     = 5 * time.Second // how long a server that failed is left alone
)

// Cache is an [obo.SharedCache].
type Cache struct {
	redis   *redis.Client
	keys    []keys // of each secret
	timeout time.Duration
	maxLife time.Duration
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	down  bool
	until time.Time // no attempt before, while down
}

var _ obo.SharedCache = (*Cache)(nil)

// ParseSecrets splits the setting CACHE_SECRET: one value, or the new one and the former one with a comma between.
func ParseSecrets(setting identity.Secret) []identity.Secret {
	var secrets []identity.Secret
	for part := range strings.SplitSeq(setting.Reveal(), ",") {
		if part = strings.TrimSpace(part); part != "" {
			secrets = append(secrets, identity.NewSecret(part))
		}
	}
	return secrets
}

// New validates the configuration. It does not connect: a server that is down at the start is like one that goes down
// later.
func New(config Config) (*Cache, error) {
	options, err := config.options()
	if err != nil {
		return nil, err
	}
	c := &Cache{timeout: config.Timeout, maxLife: config.MaxLife, now: config.Now, log: config.Logger}
	if c.timeout <= 0 {
		c.timeout = 250 * time.Millisecond
	}
	if c.maxLife <= 0 {
		c.maxLife = time.Hour
	}
	if c.now == nil {
		c.now = time.Now //nolint:forbidigo // the one place where this package meets the clock
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	for _, secret := range config.Secrets {
		k, err := deriveKeys(secret)
		if err != nil {
			return nil, err
		}
		c.keys = append(c.keys, k)
	}
	if host, _, _ := net.SplitHostPort(options.Addr); options.TLSConfig == nil && options.Password != "" && !loopback(host) {
		c.log.Warn("REDIS_URL holds a password and goes without TLS: use rediss://")
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = c.timeout, c.timeout, c.timeout, c.timeout
	quiet()
	c.redis = redis.NewClient(options)
	return c, nil
}

// quiet silences go-redis, which writes each failed connection to stderr; we say it once.
//
//nolint:gochecknoglobals // go-redis has one logger for the whole process
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

// Printf implements the logger of go-redis.
func (silence) Printf(context.Context, string, ...any) {}

func (config *Config) options() (*redis.Options, error) {
	var wrong []error
	options, err := redis.ParseURL(config.URL.Reveal())
	if err != nil {
		wrong = append(wrong, errors.New("REDIS_URL: want rediss://USER:PASSWORD@HOST:PORT/0")) // the cause may quote the password
	}
	if len(config.Secrets) == 0 {
		wrong = append(wrong, errors.New("CACHE_SECRET: missing; without it anyone who reads the database could use its tokens (make one: openssl rand -base64 48)"))
	}
	if len(config.Secrets) > 2 {
		wrong = append(wrong, errors.New("CACHE_SECRET: want one value, or the new and the former one"))
	}
	for _, secret := range config.Secrets {
		if len(secret.Reveal()) < minSecret {
			wrong = append(wrong, fmt.Errorf("CACHE_SECRET: want at least %d characters", minSecret))
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("shared cache: %w", errors.Join(wrong...))
	}
	if options.TLSConfig != nil {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: options.TLSConfig.ServerName, RootCAs: config.RootCAs}
	}
	options.MaxRetries = -1 // what cannot be had at once is exchanged
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.Dialer = redis.NewDialer(options)
	return options, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close ends the connections.
func (c *Cache) Close() error { return c.redis.Close() }

// Ping asks for a sign of life, also while the cache counts as away. For diagnosis: no other method says that it failed.
func (c *Cache) Ping(ctx context.Context) error { return c.redis.Ping(ctx).Err() }

// Get implements [obo.SharedCache] in one round trip.
func (c *Cache) Get(ctx context.Context, key obo.SharedKey) (identity.Token, bool) {
	if !c.available() {
		return identity.Token{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	pipe := c.redis.Pipeline()
	replies := make([]*redis.StringCmd, len(c.keys))
	for i := range c.keys {
		replies[i] = pipe.Get(ctx, c.keys[i].name(&key))
	}
	_, err := pipe.Exec(ctx)
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	c.report(ctx, err)
	for i := range c.keys {
		value, err := replies[i].Bytes()
		if err != nil || len(value) > maxValue {
			continue
		}
		token, err := c.keys[i].open(&key, value, c.now())
		if err == nil {
			return token, true
		}
		c.log.WarnContext(ctx, "an entry of the shared cache cannot be opened and is left alone", slog.Any("error", err))
	}
	return identity.Token{}, false
}

// Put implements [obo.SharedCache].
func (c *Cache) Put(ctx context.Context, key obo.SharedKey, token identity.Token) {
	now := c.now()
	life := min(token.Expires.Sub(now), key.Caller.Expires.Sub(now), c.maxLife)
	if life < time.Minute || !c.available() {
		return
	}
	value, err := c.keys[0].seal(&key, token, now.Add(life))
	if err != nil || len(value) > maxValue {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	c.report(ctx, c.redis.Set(ctx, c.keys[0].name(&key), value, life).Err())
}

// Delete implements [obo.SharedCache]. It is tried even where the server was just down: the token was rejected.
func (c *Cache) Delete(ctx context.Context, key obo.SharedKey) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	pipe := c.redis.Pipeline() // not one DEL of two: in a cluster they may live apart
	for i := range c.keys {
		pipe.Del(ctx, c.keys[i].name(&key))
	}
	_, err := pipe.Exec(ctx)
	c.report(ctx, err)
}

// available reports whether the server answered the last time, or was left alone for long enough.
func (c *Cache) available() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.down {
		return true
	}
	if now := c.now(); !now.Before(c.until) {
		c.until = now.Add(pause) // this caller tries, the others go on without
		return true
	}
	return false
}

// report notes whether the server answers, and says so when that changes.
func (c *Cache) report(ctx context.Context, err error) {
	if errors.Is(err, context.Canceled) {
		return // the caller left
	}
	c.mu.Lock()
	was := c.down
	c.down = err != nil
	if c.down && !was {
		c.until = c.now().Add(pause)
	}
	c.mu.Unlock()
	switch {
	case err != nil && !was:
		c.log.WarnContext(ctx, "the shared cache is down; going on without it", slog.String("why", reason(err)))
	case err == nil && was:
		c.log.InfoContext(ctx, "the shared cache is back")
	}
}

// reason puts an error into words that hold no address, user or password.
func reason(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case strings.HasPrefix(err.Error(), "WRONGPASS"), strings.HasPrefix(err.Error(), "NOAUTH"), strings.HasPrefix(err.Error(), "NOPERM"):
		return "user or password are refused (" + strings.Fields(err.Error())[0] + ")"
	case errors.As(err, &network), errors.Is(err, io.EOF):
		return "no connection"
	default:
		return "an error of the server"
	}
}
