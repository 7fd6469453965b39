//! A component written as WebAssembly text goes through all seven stages, in the local
//! cloud's simulation.

use darkroom_ecs::action::DescribeImages;
use darkroom_engine::{Kind, Status};
use serde_json::json;

use darkroom_tests::laboratory::{Laboratory, region};

const TEMPLATE: &str = "\
name: web
source: { family: debian-12 }
build:
  - uses: darkroom:all-roles
    with: { greeting: good day }
  - run: echo \"$WORD\"
    env: { WORD: hi }
  - reboot: {}
image: { family: web, tags: { team: web } }
distribute: { regions: [cn-hangzhou, cn-beijing] }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_goes_through_all_stages() {
    let lab = Laboratory::new().await;
    lab.script(json!([{ "match": "cat /var/www/html/index.html", "output": "good day" }]))
        .await;
    let (outcome, events) = lab.build(TEMPLATE).await;
    assert_eq!(
        (outcome.manifest.status, outcome.manifest.error.as_deref()),
        (Status::Success, None)
    );
    let stages: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            Kind::StageFinished { path, ok, .. } => Some((path.as_str(), *ok)),
            _ => None,
        })
        .collect();
    assert_eq!(
        stages,
        [
            "prepare",
            "repair",
            "build",
            "image",
            "test",
            "distribute",
            "release"
        ]
        .map(|stage| (stage, true))
    );
    for place in ["cn-hangzhou", "cn-beijing"] {
        let action = DescribeImages {
            region_id: region(place),
            image_family: Some("web".into()),
            ..DescribeImages::default()
        };
        let found = lab.client(0).call(&region(place), &action).await.unwrap();
        assert_eq!(found.images.image.len(), 1, "{place}");
        assert_eq!(found.images.image[0].tags.get("team"), Some("web"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_all_kinds_are_reported_at_once_in_the_order_of_the_file() {
    let lab = Laboratory::new().await;
    let text = "\
name: web
source: { famly: debian-12 }
build:
  - uses: darkroom:all-rolls
  - uses: darkroom:all-roles
    with: { greting: hi }
  - uses: ./missing.wasm
";
    let Err(mistakes) = lab.check(text) else {
        panic!("the template was accepted");
    };
    let said: Vec<_> = mistakes
        .0
        .iter()
        .map(|mistake| (mistake.line, mistake.message.clone(), mistake.help.clone()))
        .collect();
    let lines: Vec<_> = said.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [2, 4, 6, 7], "{said:?}");
    assert!(said[0].1.contains("famly"), "{said:?}");
    assert!(
        said[1].2.as_ref().unwrap().contains("all-roles"),
        "{said:?}"
    );
    assert!(said[2].1.contains("greting"), "{said:?}");
    assert!(
        said[3].2.as_ref().unwrap().contains("component build"),
        "{said:?}"
    );
}
