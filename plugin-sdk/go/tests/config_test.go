package tests

import (
	"errors"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

type limits struct {
	Days []int            `json:"days"`
	ByID map[string]inner `json:"by_id"`
}

type inner struct {
	Max int64 `json:"max" wasmill:"required"`
}

type config struct {
	MaxAmount float64 `json:"max_amount"`
	Limits    limits  `json:"limits"`
	Hidden    int     `json:"-"`
}

func (c *config) SetDefaults() { c.MaxAmount = 5 }

func (c *config) Validate() error {
	if c.MaxAmount < 0 {
		return errors.New("max_amount must not be negative")
	}
	return nil
}

var configured = wasmill.Transform(options, func(in amount, config *config, out *wasmill.Output[amount]) error {
	out.Emit(amount{config.MaxAmount})
	return nil
})

func TestAWrongConfigurationIsRefusedWithItsKey(t *testing.T) {
	for text, expected := range map[string]string{
		`{"max_amount": "a lot"}`:                  "config.max_amount: expected a number, found string",
		`{"Max_Amount": 1}`:                        "config: unknown key `Max_Amount`, expected `max_amount`, `limits`",
		`{"limits": {"days": [1, "x"]}}`:           "config.limits.days: expected an integer, found string",
		`{"limits": {"weeks": 1, "days": []}}`:     "config.limits: unknown key `weeks`, expected `days`, `by_id`",
		`{"limits": {"by_id": {"a": {"mx": 1}}}}`:  "config.limits.by_id.a: unknown key `mx`, expected `max`",
		`{"limits": {"by_id": {"a": {}}}}`:         "config.limits.by_id.a.max is missing",
		`{"Hidden": 1}`:                            "config: unknown key `Hidden`, expected `max_amount`, `limits`",
		`{"max_amount": -1}`:                       "config: max_amount must not be negative",
		`[]`:                                       "config: expected a table, found array",
		`{"limits": {"by_id": {"a": {"max": 1}}}}`: "",
	} {
		if found := plugintest.ConfigError(configured, text); found != expected {
			t.Errorf("%s: found %q, expected %q", text, found, expected)
		}
	}
}

func TestDefaultsHoldWhereAKeyIsNotThere(t *testing.T) {
	plugintest.Transform(t, configured, `{}`).Run(`{"amount": 1}`).Expect(`out: {"amount":5.0}`)
	plugintest.Transform(t, configured, `{"max_amount": 0}`).Run(`{"amount": 1}`).Expect(`out: {"amount":0.0}`)
}

func TestAPluginWithoutConfigurationRefusesAny(t *testing.T) {
	if found := plugintest.ConfigError(reading[amount](), `{"a": 1}`); found != "config: unknown key `a`, expected none" {
		t.Errorf("found %q", found)
	}
}
