//! The image template, `image.yaml`: reading, checking and resolving it.
//!
//! [`parse`] reads the text of a template and reports every mistake at once, each
//! with file, line, column and what to write instead. [`Template::resolve`] then
//! merges what the template says for one cloud (`on:`), checks and fills in the
//! parameters and computes the expressions, `${{ … }}`. The [`Resolved`] template is
//! what the engine plans from; nothing after it checks names and types again. The
//! engine and the command line use this crate.
//!
//! What is known only elsewhere stays out of here: whether a component exists and
//! accepts its arguments (the engine, which reports at the place in the file by
//! [`Resolved::mistake_at`] and [`Uses::argument_span`]), whether a region, an
//! instance type or an account exists (the cloud). This crate opens no file, reads
//! no environment and prints nothing.
//!
//! # The language
//!
//! ```
//! # let text = r#"
//! name: web-server                        # the image is `{name}-{run}`
//! source: { family: debian-12 }           # or image: m-…, instance: i-…, snapshot: s-…
//! parameters:                             # given with `-p name=value`
//!   title: { type: string, default: hello, pattern: '^[a-z ]+$' }
//!   port: { type: integer, default: 80, minimum: 1, maximum: 65535 }
//! secrets:                                # or { file: ./path }, { command: [pass, show, db] }
//!   db-password: { env: DB_PASSWORD }
//! repair: standard                        # none, standard, all, or a list of repairs
//! build:
//!   - uses: darkroom:packages@0.1         # or a file, ./component.wasm
//!     with: { install: [nginx], upgrade: true }
//!   - copy: { from: ./site, to: /var/www/html, mode: '0644', owner: www-data, ignore: ['*.tmp'] }
//!   - run: printf '%s\n' "$TITLE" > /var/www/html/index.html
//!     name: Write the page                # what people see
//!     env: { TITLE: '${{ parameters.title }}', PASSWORD: '${{ secrets.db-password }}' }
//!   - reboot: {}
//! test:                                   # on a fresh instance of the new image
//!   - uses: darkroom:service
//!     with: { name: nginx, port: '${{ parameters.port }}' }
//!   - run: curl -fs http://localhost/     # exit code 0 is a passed test
//! instance:                               # a list of types is tried in order
//!   { type: [ecs.g7.large, ecs.g6.large], internet: 10, disk: 40, disks: [{ size: 20 }] }
//! image: { family: web-server, tags: { team: web, region: '${{ region }}' } }
//! distribute: { regions: [cn-hangzhou, ap-southeast-1] }
//! on-test-failure: keep                   # or delete
//! retain: { keep: 3 }                     # the newest images of this template, in each region
//! rebuild: { max-age: 7d }                # an unchanged build with volatile parts younger than this is skipped
//! checkpoint: true                        # what each item of build has come to is kept as an image
//! on:                                     # on top of everything else, in one cloud only
//!   aliyun:
//!     instance: { vswitch: vsw-bp1, security-group: sg-bp1, spot: true }
//!     distribute: { accounts: ['1234567890123456'] }
//! # "#;
//! # let with = darkroom_template::ResolveWith {
//! #     cloud: darkroom_template::Cloud::Aliyun,
//! #     parameters: &[],
//! #     region: None,
//! # };
//! # darkroom_template::parse(text, "image.yaml").unwrap().resolve(with).unwrap();
//! ```
//!
//! An overlay (`on`) may hold `source`, `instance`, `image` and `distribute`. A source
//! and a list replace the whole source and the whole list; of everything else each
//! value replaces its own.
//!
//! **Expressions** can be used in the values of `with`, `env` and `copy`, and in
//! `source`, `instance`, `image` and `distribute`; never in `run`, where a value would
//! become part of the script, nor in keys, names and `uses`. A value that is one
//! expression and nothing else keeps its type; in a longer text it is written as text.
//!
//! | in an expression | |
//! |---|---|
//! | `parameters.x` | a parameter; names may have `-`, so a minus needs spaces |
//! | `matrix.x` | a value of the matrix; also in `name`, where nothing else is known |
//! | `secrets.x` | a secret: alone, and only in `env` and `with`; what the template gets is a marker, never the value |
//! | `name`, `cloud`, `region` | the template's name, `local` or `aliyun`, the build region (but not in `distribute`) |
//! | `'text'`, `1`, `0.5`, `true`, `['a', 'b']` | values |
//! | `+ - * / // % **`, `== != < <= > >=`, `and or not`, `in`, `a if b else c`, `( )` | operators; `+` joins texts and lists |
//! | `x \| join(' ')` | filters: `upper`, `lower`, `trim`, `replace`, `split`, `join`, `length`, `first`, `last`, `default`, `int`, `float`, `string`, `sort`, `unique`, `reverse`, `min`, `max`, `round` |
//! | `x is startingwith('a')` | tests: `startingwith`, `endingwith`, `string`, `number`, `boolean`, `sequence` |
//!
//! **A matrix** makes several builds of one template, each with a name of its own. It is a
//! mapping of lists, of which every combination is a cell, or a list of cells:
//!
//! ```
//! # let text = r#"
//! name: web-${{ matrix.size }}-${{ matrix.base }}
//! matrix:
//!   base: [debian-12, debian-13]
//!   size: [small, large]
//! source: { family: '${{ matrix.base }}' }
//! # "#;
//! # let with = darkroom_template::ResolveWith {
//! #     cloud: darkroom_template::Cloud::Local,
//! #     parameters: &[],
//! #     region: None,
//! # };
//! # let template = darkroom_template::parse(text, "image.yaml").unwrap();
//! # let cells = template.cells(with).unwrap();
//! # assert_eq!(cells.len(), 4);
//! # let given = [("matrix.size".into(), "large".into()), ("matrix.base".into(), "debian-12".into())];
//! # let with = darkroom_template::ResolveWith { parameters: &given, ..with };
//! # assert_eq!(template.resolve(with).unwrap().name.value, "web-large-debian-12");
//! ```
//!
//! One cell is resolved at a time; it is chosen as parameters are given,
//! `matrix.size=large`. [`Template::cells`] tells them.
//!
//! Templates may come from strangers: size, depth, aliases, the number of expressions and
//! the work of each are limited.
//!
//! # Beside it
//!
//! [`format()`] is the one layout, [`schema()`] the JSON Schema, [`lock`] the model of
//! `darkroom.lock`, [`one_line()`] the template of a build of one line.
//!
//! | step | module |
//! |---|---|
//! | text to nodes with positions, with limits | `yaml` |
//! | nodes to values, collecting mistakes | `read` |
//! | what each section may hold, as tables | `keys` |
//! | one section of the template each | `section::*` |
//! | all sections together | `body` |
//! | the builds that a matrix is, and their names | `section::matrix`, `cells` |
//! | rules for names, regions, accounts, tags | `rules` |
//! | where expressions can stand, and what they mean | `places`, `expression` |
//! | overlays, parameters, the final template | `resolve`, `resolved` |

mod body;
mod cells;
mod expression;
mod format;
mod keys;
pub mod lock;
mod mistake;
mod nearest;
mod one_line;
mod places;
mod read;
mod resolve;
mod resolved;
mod rules;
mod schema;
mod section;
mod span;
mod template;
mod yaml;

pub use cells::Cell;
pub use format::format;
pub use mistake::{Mistake, Mistakes, Severity};
pub use nearest::nearest;
pub use one_line::{OneLine, one_line};
pub use resolve::{Cloud, ParseCloudError, ResolveWith};
pub use resolved::{
    BuildItem, Copy, DataDisk, Distribute, ImageSettings, Instance, OnTestFailure, Rebuild,
    Resolved, Retain, Run, Secret, SecretFrom, TestItem, Uses,
};
pub use schema::{schema, schema_with};
pub use section::parameters::{Parameter, ParameterType};
pub use section::repair::Repair;
pub use section::source::Source;
pub use section::uses::UsesRef;
pub use span::{SourceFile, Span, Spanned};
pub use template::{Draft, Template, draft, parse};
