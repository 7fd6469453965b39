//! Writes the greeting page of the web server. Edit it, build it, build the image again.
use darkroom::*;

struct Greeting;

impl About for Greeting {
    fn describe() -> Description {
        let greeting = Parameter::text("greeting", "What the page says").default("hello");
        Description::new("Writes the greeting page").parameter(greeting)
    }
}

impl Builder for Greeting {
    fn build() -> Result<(), String> {
        let greeting = inputs::text("greeting").unwrap_or_default();
        let page = format!("{greeting} from Darkroom\n");
        write("write the greeting page", "/var/www/html/index.html", page);
        Ok(())
    }
}

component!(Greeting: builder);

#[cfg(test)]
#[test]
fn the_page_greets() {
    let machine = testing::Machine::debian().argument("greeting", "<$(hi)>");
    let page = machine
        .build::<Greeting>()
        .step("write the greeting page")
        .text()
        .map(str::to_owned);
    assert_eq!(page.as_deref(), Some("<$(hi)> from Darkroom\n"));
}
